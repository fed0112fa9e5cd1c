//! Differentiable functions beside candle's, at the sizes of a small network on 32 × 32 images, batch 32, f32.
//!
//! `forward` runs on plain tensors, `both` on variables with the gradient of every argument. Last come the
//! convolutions of a larger network at batch 64, ours alone.

use std::time::Duration;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use candle_nn::ModuleT;
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::kernels::ops::{self, Conv2d, Statistics};
use taskweave::prelude::{Result as OurResult, Rng};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 32;
const EPS: f64 = 1e-5;
/// Channels in, channels out, height and width of the three stages.
const STAGES: [(usize, usize, usize); 3] = [(3, 16, 32), (16, 32, 16), (32, 64, 8)];

/// Batch of the larger network's convolutions.
const LARGE_BATCH: usize = 64;
/// Channels in, channels out, height and width of them.
const LARGE: [(usize, usize, usize); 5] =
    [(3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16), (128, 256, 8)];

/// One function in two implementations, and the shapes of its arguments at a stage.
struct Pair {
    name: &'static str,
    shapes: fn((usize, usize, usize)) -> Vec<Vec<usize>>,
    ours: fn(&[Tensor]) -> OurResult<Tensor>,
    candles: fn(&[Tensor]) -> Result<Tensor>,
}

const PAIRS: [Pair; 5] = [
    Pair {
        name: "conv2d",
        shapes: |(from, to, side)| vec![vec![BATCH, from, side, side], vec![to, from, 3, 3], vec![to]],
        ours: |a| ops::conv2d(&a[0], &a[1], Some(&a[2]), Conv2d { padding: 1, ..Conv2d::default() }),
        candles: |a| a[0].conv2d(&a[1], 1, 1, 1, 1)?.broadcast_add(&a[2].reshape((1, (), 1, 1))?),
    },
    Pair {
        name: "batch_norm",
        shapes: |(_, to, side)| vec![vec![BATCH, to, side, side], vec![to], vec![to]],
        ours: |a| ops::batch_norm(&a[0], [&a[1], &a[2]], Statistics::Batch(&ops::channel_stats(&a[0])?), EPS),
        candles: |a| {
            let (zero, one) = (a[1].zeros_like()?, a[1].ones_like()?);
            candle_nn::BatchNorm::new(a[1].elem_count(), zero, one, a[1].clone(), a[2].clone(), EPS)?
                .forward_t(&a[0], true)
        },
    },
    Pair {
        name: "max_pool2d",
        shapes: image,
        ours: |a| ops::max_pool2d(&a[0], 2, 2),
        candles: |a| a[0].max_pool2d(2),
    },
    Pair { name: "relu", shapes: image, ours: |a| ops::relu(&a[0]), candles: |a| a[0].relu() },
    Pair {
        name: "upsample",
        shapes: image,
        ours: |a| ops::upsample_nearest2d(&a[0], 2),
        candles: |a| a[0].upsample_nearest2d(2 * a[0].dim(2)?, 2 * a[0].dim(3)?),
    },
];

fn image((_, to, side): (usize, usize, usize)) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side]]
}

fn draw(shape: &[usize]) -> Tensor {
    let (mut rng, count) = (Rng::new(0), shape.iter().product());
    let values = (0..count).map(|_| rng.normal() as f32).collect();
    Tensor::from_vec::<_, f32>(values, shape, &Device::Cpu).unwrap()
}

fn all_ops(criterion: &mut Criterion) {
    for pair in PAIRS {
        for stage in STAGES {
            let plain: Vec<Tensor> = (pair.shapes)(stage).iter().map(|shape| draw(shape)).collect();
            let traced: Vec<Tensor> =
                plain.iter().map(|x| Var::from_tensor(x).unwrap().into_inner()).collect();
            side_by_side(criterion, &pair, &plain, ("forward", drop));
            side_by_side(criterion, &pair, &traced, ("both", backward));
        }
    }
}

fn large_convolutions(criterion: &mut Criterion) {
    let config = Conv2d { padding: 1, ..Conv2d::default() };
    for (from, to, side) in LARGE {
        let plain = [&[LARGE_BATCH, from, side, side][..], &[to, from, 3, 3], &[to]].map(draw);
        let mut traced = plain.clone().map(|x| Var::from_tensor(&x).unwrap().into_inner());
        if from == 3 {
            traced[0] = plain[0].clone();
        }
        let run = |a: &[Tensor; 3]| ops::conv2d(&a[0], &a[1], Some(&a[2]), config).unwrap();
        let mut group = criterion.benchmark_group(format!("large conv2d {from} to {to} at {side}"));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("forward", |b| b.iter(|| run(&plain)));
        group.bench_function("both", |b| b.iter(|| backward(run(&traced))));
        group.finish();
    }
}

fn side_by_side(criterion: &mut Criterion, pair: &Pair, a: &[Tensor], (what, end): (&str, fn(Tensor))) {
    let at = format!("{:?}", a[0].dims());
    let mut group = criterion.benchmark_group(format!("{} {what}", pair.name));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::new("ours", &at), |b| b.iter(|| end((pair.ours)(a).unwrap())));
    group.bench_function(BenchmarkId::new("candle", &at), |b| b.iter(|| end((pair.candles)(a).unwrap())));
    group.finish();
}

fn backward(y: Tensor) {
    y.apply_op1(Ones).and_then(|end| end.backward()).unwrap();
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400));
    targets = all_ops, large_convolutions
}
criterion_main!(benches);
