//! 64 × 60 × 40 → GRU 256, mean over time → two classifications.

use candle_core::Tensor;
use taskweave::heads::{Gru, Linear};
use taskweave::kernels::ops;
use taskweave::prelude::*;

use super::{Draw, Workload, view};

pub fn build(mut draw: Draw) -> Result<Workload> {
    let params = draw.params();
    let trunk = Backbone::new(
        vec![Box::new(Gru::new(&params.shared(), 40, 256)?), Box::new(MeanOverTime)],
        Features::Vector { width: 256 },
    );
    let head = |task: &str, classes| -> Result<Box<dyn Stage>> {
        Ok(Box::new(Linear::new(&params.task(task), 256, classes)?))
    };
    let heads = Named::new([("digit", head("digit", 10)?), ("speaker", head("speaker", 6)?)])?;
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let tasks = vec![("digit".into(), draw.classes(10, &[64])?), ("speaker".into(), draw.classes(6, &[64])?)];
    Workload::new(params.clone(), model, view(draw.normal(&[64, 60, 40])?)?, tasks)
}

/// `[batch, time, width]` → `[batch, width]`.
pub struct MeanOverTime;

impl Stage for MeanOverTime {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::mean_pool1d(x)
    }
}
