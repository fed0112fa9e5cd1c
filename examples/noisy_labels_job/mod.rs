//! What is trained in the `noisy_labels` example: samples, methods, the network.

mod gate;
mod parts;

use candle_core::Tensor;
use serde_json::json;
use taskweave::cotrain::teaching::TeachingConfig;
use taskweave::data::Corruption;
use taskweave::heads::{Classification, Linear};
use taskweave::kernels::ops::Activation;
use taskweave::prelude::*;

use crate::digits::Gated;

pub use gate::learned;
pub use parts::Parts;

/// Sizes of a run.
pub struct Plan {
    pub samples: usize,
    pub epochs: u64,
    pub width: usize,
    pub rate: f64,
}

/// Samples per step.
pub const BATCH: usize = 128;

/// One training.
pub struct Job {
    pub noise: (&'static str, Corruption, f64),
    pub method: &'static str,
    pub gate: Gated,
    pub seed: u64,
}

impl Job {
    /// As in the table.
    pub fn name(&self) -> String {
        self.gate.name(&format!("{}, {}", self.noise.0, self.method))
    }
}

pub fn method(job: &Job, plan: &Plan) -> Result<TeachingConfig> {
    let per_epoch = plan.samples.div_ceil(BATCH) as u64;
    // The share falls over the first 10 of 200 epochs in the papers.
    let small_loss = json!({ "forget": job.noise.2, "steps": (per_epoch * plan.epochs / 20).max(per_epoch) });
    let mut method =
        json!({ "task": "class", "members": ["a", "b"], "criterion": { "name": "cross_entropy" } });
    match job.method {
        "standard" => (method["name"], method["members"]) = (json!("supervised"), json!(["a"])),
        "co-teaching" => method["name"] = json!("co_teaching"),
        "co-teaching+" => method["name"] = json!("co_teaching_plus"),
        _ => (method["name"], method["lambda"]) = (json!("jocor"), json!(0.9)),
    }
    if job.method != "standard" {
        method["small_loss"] = small_loss;
    }
    serde_json::from_value(method).map_err(|e| Error::parameter("method", "a method", e))
}

/// Two layers.
pub fn network(params: &Params, width: usize) -> Result<Network> {
    let hidden = Linear::new(&params.shared().pp("hidden"), 28 * 28, width)?.then(Activation::Relu);
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(|x: &Tensor| x.flatten_from(1)), Box::new(hidden)];
    let trunk = Backbone::new(stages, Features::Vector { width });
    let head = Classification::new(&params.task("class"), trunk.features(), 10)?;
    let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
    Ok(Network::new(Box::new(HardSharing::new("image", trunk)), heads))
}
