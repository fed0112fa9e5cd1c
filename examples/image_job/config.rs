//! What an image job is, as a value that is saved with the run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use taskweave::data::TransformConfig;
use taskweave::heads::{CnnConfig, HeadConfig, NetworkConfig, Normalization};
use taskweave::prelude::*;

/// Where images come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Drawn.
    Shapes(ShapesConfig),
    /// Binary batches, or a folder of class folders in `train` and `test`.
    Cifar10(PathBuf),
    /// Idx files.
    Mnist(PathBuf),
}

/// Samples that are kept in memory at most, of each kind.
const MOST: usize = 1_000_000;

/// Everything that the results depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobConfig {
    pub source: Source,
    /// Samples to learn from, to look at while learning, and to be judged by.
    pub samples: [usize; 3],
    /// Channels of the stages of the multi-task network.
    pub widths: Vec<usize>,
    pub dropout: f64,
    pub batch_size: usize,
    pub epochs: u64,
    pub rate: f64,
    pub weight_decay: f64,
    /// Weight of the mask's loss beside the class's.
    pub mask_weight: f64,
    /// Steps for which the alternating schedule holds a block.
    pub period: u64,
    pub augment: Vec<TransformConfig>,
    pub seeds: Vec<u64>,
}

/// A network of a job: which tasks it has and how wide it is, relative to the multi-task network.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub name: &'static str,
    pub tasks: &'static [&'static str],
    pub schedule: Schedule,
}

impl Method {
    /// The name of its training under a seed, for files.
    pub fn training(&self, seed: u64) -> String {
        format!("{}-{seed}", self.name.replace(' ', "-"))
    }
}

impl JobConfig {
    /// Refuses what no later check would name.
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::parameter("epochs", "at least 1", 0));
        }
        if self.seeds.is_empty() {
            return Err(Error::parameter("seeds", "at least one", 0));
        }
        if self.samples.iter().any(|count| !(1..=MOST).contains(count)) {
            let found = format!("{:?}", self.samples);
            return Err(Error::parameter("samples of each kind", format!("1 to {MOST}"), found));
        }
        if self.widths.iter().any(|width| !(1..=4096).contains(width)) {
            return Err(Error::parameter("widths", "1 to 4096 each", format!("{:?}", self.widths)));
        }
        Ok(())
    }

    /// The methods that are compared.
    pub fn methods(&self) -> Vec<Method> {
        let method = |name, tasks, schedule| Method { name, tasks, schedule };
        let alternating = Schedule::Alternating { period: self.period };
        vec![
            method("class alone", &["class"], Schedule::Joint),
            method("mask alone", &["mask"], Schedule::Joint),
            method("joint", &["class", "mask"], Schedule::Joint),
            method("alternating", &["class", "mask"], alternating),
        ]
    }

    /// The network of a method for images with so many channels and classes. The two single-task networks
    /// together have at least as many parameters as the multi-task network.
    pub fn network(&self, method: &Method, channels: usize, classes: usize) -> Result<NetworkConfig> {
        let full = self.of_widths(&["class", "mask"], self.widths.clone(), [channels, classes])?;
        if method.tasks.len() > 1 {
            return Ok(full);
        }
        let budget = count(&full)?;
        for percent in 50..=100 {
            let widths: Vec<_> = self.widths.iter().map(|w| (w * percent).div_ceil(100)).collect();
            let single = |task| self.of_widths(&[task], widths.clone(), [channels, classes]);
            if count(&single("class")?)? + count(&single("mask")?)? >= budget {
                return single(method.tasks[0]);
            }
        }
        self.of_widths(method.tasks, self.widths.clone(), [channels, classes])
    }

    fn of_widths(
        &self,
        tasks: &[&str],
        widths: Vec<usize>,
        [channels, classes]: [usize; 2],
    ) -> Result<NetworkConfig> {
        let heads = tasks.iter().map(|task| match *task {
            "mask" => (*task, HeadConfig::Dense { classes: 2 }),
            _ => (*task, HeadConfig::Classification { classes }),
        });
        let normalization = Normalization::Batch;
        let backbone = CnnConfig { channels, widths, convs: 1, normalization, dropout: self.dropout };
        Ok(NetworkConfig { view: "image".into(), backbone, heads: Named::new(heads)? })
    }
}

fn count(network: &NetworkConfig) -> Result<usize> {
    let params = Params::new(&Rng::new(0), candle_core::DType::F32, &candle_core::Device::Cpu);
    network.build(&params)?;
    Ok(params.count())
}
