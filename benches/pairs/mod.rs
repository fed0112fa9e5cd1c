//! Two implementations of a function side by side, on drawn arguments: `forward` on plain tensors, `both` on
//! variables with the gradient of every argument.

#![allow(dead_code)] // Each bench uses a part of it.

use std::time::Duration;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use criterion::{BenchmarkId, Criterion, SamplingMode};
use taskweave::prelude::{Result as OurResult, Rng};

pub const BATCH: usize = 32;

/// Channels in, channels out, height and width of a part of a network.
pub type Stage = (usize, usize, usize);

/// Those of a small network on 32 × 32 images.
const STAGES: [Stage; 3] = [(3, 16, 32), (16, 32, 16), (32, 64, 8)];

/// One function in two implementations, and the shapes of its arguments at a stage.
pub struct Pair {
    pub name: &'static str,
    pub shapes: fn(Stage) -> Vec<Vec<usize>>,
    pub ours: fn(&[Tensor]) -> OurResult<Tensor>,
    pub candles: fn(&[Tensor]) -> Result<Tensor>,
}

/// Runs every pair at every stage.
pub fn at_all_stages(criterion: &mut Criterion, pairs: &[Pair]) {
    for pair in pairs {
        for stage in STAGES {
            let plain: Vec<Tensor> = (pair.shapes)(stage).iter().map(|shape| draw(shape)).collect();
            let traced: Vec<Tensor> = plain.iter().map(variable).collect();
            side_by_side(criterion, pair, &plain, ("forward", drop));
            side_by_side(criterion, pair, &traced, ("both", backward));
        }
    }
}

/// Short runs, for there are many.
pub fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}

/// The shape of a stage's outputs.
pub fn image((_, to, side): Stage) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side]]
}

pub fn draw(shape: &[usize]) -> Tensor {
    let (mut rng, count) = (Rng::new(0), shape.iter().product());
    let values = (0..count).map(|_| rng.normal() as f32).collect();
    Tensor::from_vec::<_, f32>(values, shape, &Device::Cpu).unwrap()
}

pub fn variable(x: &Tensor) -> Tensor {
    Var::from_tensor(x).unwrap().into_inner()
}

pub fn backward(y: Tensor) {
    y.apply_op1(Ones).and_then(|end| end.backward()).unwrap();
}

fn side_by_side(criterion: &mut Criterion, pair: &Pair, a: &[Tensor], (what, end): (&str, fn(Tensor))) {
    let at = format!("{:?}", a[0].dims());
    let mut group = criterion.benchmark_group(format!("{} {what}", pair.name));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::new("ours", &at), |b| b.iter(|| end((pair.ours)(a).unwrap())));
    group.bench_function(BenchmarkId::new("candle", &at), |b| b.iter(|| end((pair.candles)(a).unwrap())));
    group.finish();
}

/// Ends a graph with a gradient of ones. Candle's sum costs more on the way back than most functions here.
struct Ones;

impl CustomOp1 for Ones {
    fn name(&self) -> &'static str {
        "ones"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), ().into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        x.ones_like().map(Some)
    }
}
