//! 64 × 3 × 32 × 32 → five convolutions with batch normalization → class, and mask at a quarter of the resolution.

use candle_core::Tensor;
use taskweave::heads::{BatchNorm, Conv, MaxPool};
use taskweave::kernels::ops::{self, Activation};
use taskweave::prelude::*;

use super::{Draw, Workload, view};

pub fn build(mut draw: Draw) -> Result<Workload> {
    let params = draw.params();
    let trunk = trunk(&params)?;
    let class = HeadConfig::Classification { classes: 10 }.build(&params.task("class"), trunk.features())?;
    let mask = Mask(Conv::new(&params.task("mask"), [256, 2], 1)?);
    let heads = Named::new([("class", class), ("mask", Box::new(mask) as Box<dyn Stage>)])?;
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let tasks =
        vec![("class".into(), draw.classes(10, &[64])?), ("mask".into(), draw.classes(2, &[64, 32, 32])?)];
    Workload::new(params, model, view(draw.normal(&[64, 3, 32, 32])?)?, tasks)
}

/// The same trunk with any number of classifications.
pub fn with_tasks(mut draw: Draw, count: usize) -> Result<Workload> {
    let params = draw.params();
    let trunk = trunk(&params)?;
    let (mut heads, mut tasks) = (Named::default(), Vec::new());
    for i in 0..count {
        let task = format!("task{i}");
        let head = HeadConfig::Classification { classes: 10 }.build(&params.task(&task), trunk.features())?;
        heads.insert(task.clone(), head)?;
        tasks.push((task, draw.classes(10, &[64])?));
    }
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    Workload::new(params, model, view(draw.normal(&[64, 3, 32, 32])?)?, tasks)
}

fn trunk(params: &Params) -> Result<Backbone> {
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    let widths = [3, 64, 64, 128, 128, 256];
    for (i, pair) in widths.windows(2).enumerate() {
        if i == 2 || i == 4 {
            stages.push(Box::new(MaxPool));
        }
        let vb = params.shared().pp(i);
        stages.push(Box::new(Conv::new(&vb.pp("conv"), [pair[0], pair[1]], 3)?));
        stages.push(Box::new(BatchNorm::new(&vb.pp("norm"), pair[1])?.then(Activation::Relu)));
    }
    Ok(Backbone::new(stages, Features::Map { channels: 256, stride: 4 }))
}

/// Logits per feature pixel, repeated for the pixels of the image.
struct Mask(Conv);

impl Stage for Mask {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        ops::upsample_nearest2d(&self.0.forward(x, mode)?, 4)
    }
}
