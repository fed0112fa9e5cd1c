//! The workloads of the step-time yardstick: random data, a model, and one loss per task.

// Each of the examples that share these files uses a part of them.
#![allow(dead_code, unused_imports)]

pub mod cnn2;
mod flop;
mod gru2;
mod iwrm64;
mod memory;
pub mod mlp8;
mod mmoe3;
mod stepper;
mod transformer3;

pub use memory::Memory;
pub use stepper::{Objectives, StepMode, Stepper};

use candle_core::{DType, Device, Tensor};
use clap::ValueEnum;
use taskweave::loss::mean_loss;
use taskweave::prelude::*;

/// The workloads by name
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// MLP with eight regressions
    Mlp8,
    /// Convolutions with a class and a mask
    Cnn2,
    /// Transformer with two classifications and a label per token
    Transformer3,
    /// Gated mixture of experts with three binary tasks
    Mmoe3,
    /// GRU with two classifications
    Gru2,
    /// MLP with one objective per sample
    Iwrm64,
}

impl Name {
    /// As on the command line.
    pub fn label(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    pub fn build(self, device: &Device) -> Result<Workload> {
        let draw = Draw::new(device);
        match self {
            Self::Mlp8 => mlp8::build(draw),
            Self::Cnn2 => cnn2::build(draw),
            Self::Transformer3 => transformer3::build(draw),
            Self::Mmoe3 => mmoe3::build(draw),
            Self::Gru2 => gru2::build(draw),
            Self::Iwrm64 => iwrm64::build(draw),
        }
    }
}

/// A model with the one batch that it sees again and again.
pub struct Workload {
    pub params: Params,
    model: Network,
    inputs: Named<Tensor>,
    tasks: Named<Objective>,
    rng: Rng,
}

type Objective = (Box<dyn Criterion>, Target);

impl Workload {
    fn new(
        params: Params,
        model: Network,
        inputs: Named<Tensor>,
        tasks: Vec<(String, Objective)>,
    ) -> Result<Self> {
        Ok(Self { params, model, inputs, tasks: Named::new(tasks)?, rng: Rng::new(1) })
    }

    /// The mean loss of each task.
    pub fn losses(&self) -> Result<Named<Tensor>> {
        let predictions = self.model.forward(&self.inputs, Mode::Train(&self.rng))?;
        predictions.try_map(|task, prediction| {
            let (criterion, target) = self.tasks.require("task", task)?;
            mean_loss(criterion.as_ref(), prediction, target)
        })
    }

    /// The loss of each sample, for a workload of one task.
    pub fn sample_losses(&self) -> Result<Tensor> {
        let predictions = self.model.forward(&self.inputs, Mode::Train(&self.rng))?;
        let (criterion, target) = self.tasks.require("task", "sample")?;
        criterion.losses(predictions.require("task", "sample")?, target)
    }
}

/// Random tensors on a device.
pub struct Draw {
    rng: Rng,
    device: Device,
}

impl Draw {
    /// The same numbers every time.
    pub fn new(device: &Device) -> Self {
        Self { rng: Rng::new(0), device: device.clone() }
    }

    fn params(&self) -> Params {
        Params::new(&self.rng, DType::F32, &self.device)
    }

    fn normal(&mut self, shape: &[usize]) -> Result<Tensor> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.rng.normal() as f32).collect();
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }

    fn below(&mut self, end: usize, shape: &[usize]) -> Result<Tensor> {
        let mut one = || ((self.rng.uniform() * end as f64) as u32).min(end as u32 - 1);
        let values: Vec<u32> = (0..shape.iter().product()).map(|_| one()).collect();
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }

    /// A classification among so many classes.
    fn classes(&mut self, classes: usize, shape: &[usize]) -> Result<Objective> {
        Ok((Box::new(CrossEntropy::default()), Target::new(self.below(classes, shape)?)?))
    }
}

fn view(x: Tensor) -> Result<Named<Tensor>> {
    Named::new([("x", x)])
}
