//! Differentiable functions beside candle's, at the sizes of a small network on 32 × 32 images, batch 32, f32.
//!
//! `forward` runs on plain tensors, `both` on variables with the gradient of every argument. Last come the
//! convolutions of a larger network at batch 64, ours alone.

use std::time::Duration;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use candle_nn::{Module, ModuleT};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::kernels::ops::{
    self, Activation, BatchNorm, Border, Conv2d, ConvTranspose2d, Corners, Pool2d, Statistics,
};
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

const PAIRS: [Pair; 17] = [
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
    Pair {
        name: "batch_norm_then relu",
        shapes: channels,
        ours: |a| {
            let config = BatchNorm { eps: EPS, activation: Activation::Relu };
            ops::batch_norm_then(
                &a[0],
                [&a[1], &a[2]],
                Statistics::Batch(&ops::channel_stats(&a[0])?),
                config,
            )
        },
        candles: |a| {
            let (zero, one) = (a[1].zeros_like()?, a[1].ones_like()?);
            candle_nn::BatchNorm::new(a[1].elem_count(), zero, one, a[1].clone(), a[2].clone(), EPS)?
                .forward_t(&a[0], true)?
                .relu()
        },
    },
    Pair {
        name: "layer_norm",
        shapes: rows,
        ours: |a| ops::layer_norm(&a[0], [Some(&a[1]), Some(&a[2])], EPS),
        // Candle's faster way has no gradient.
        candles: |a| candle_nn::ops::layer_norm_slow(&a[0], &a[1], &a[2], EPS as f32),
    },
    Pair {
        name: "rms_norm",
        shapes: |stage| rows(stage)[..2].to_vec(),
        ours: |a| ops::rms_norm(&a[0], Some(&a[1]), EPS),
        candles: |a| candle_nn::ops::rms_norm_slow(&a[0], &a[1], EPS as f32),
    },
    Pair {
        name: "group_norm",
        shapes: channels,
        ours: |a| ops::group_norm(&a[0], 4, [Some(&a[1]), Some(&a[2])], EPS),
        candles: |a| {
            candle_nn::GroupNorm::new(a[1].clone(), a[2].clone(), a[1].elem_count(), 4, EPS)?.forward(&a[0])
        },
    },
    Pair {
        name: "avg_pool2d",
        shapes: image,
        ours: |a| ops::avg_pool2d(&a[0], Pool2d::default(), Border::Zeros),
        candles: |a| a[0].avg_pool2d(2),
    },
    Pair {
        name: "adaptive_avg_pool2d",
        shapes: image,
        ours: |a| ops::adaptive_avg_pool2d(&a[0], [4, 4]),
        candles: |a| a[0].avg_pool2d(a[0].dim(2)? / 4),
    },
    Pair {
        name: "adaptive_max_pool2d",
        shapes: image,
        ours: |a| ops::adaptive_max_pool2d(&a[0], [4, 4]),
        candles: |a| a[0].max_pool2d(a[0].dim(2)? / 4),
    },
    Pair {
        name: "global_avg_pool2d",
        shapes: image,
        ours: |a| ops::global_avg_pool2d(&a[0]),
        candles: |a| a[0].flatten_from(2)?.mean(2),
    },
    Pair {
        name: "mean_pool1d",
        shapes: |(_, to, side)| vec![vec![BATCH, side * side, to]],
        ours: |a| ops::mean_pool1d(&a[0]),
        candles: |a| a[0].mean(1),
    },
    Pair {
        name: "upsample_bilinear2d",
        shapes: image,
        ours: |a| ops::upsample_bilinear2d(&a[0], [2 * a[0].dim(2)?, 2 * a[0].dim(3)?], Corners::Centers),
        candles: |a| doubled(&a[0]),
    },
    Pair {
        name: "conv_transpose2d",
        shapes: |(from, to, side)| vec![vec![BATCH, from, side, side], vec![from, to, 2, 2], vec![to]],
        ours: |a| {
            let config = ConvTranspose2d { stride: 2, ..ConvTranspose2d::default() };
            ops::conv_transpose2d(&a[0], &a[1], Some(&a[2]), config)
        },
        candles: |a| a[0].conv_transpose2d(&a[1], 0, 0, 2, 1)?.broadcast_add(&a[2].reshape((1, (), 1, 1))?),
    },
    Pair {
        name: "gradient_reversal",
        shapes: image,
        ours: |a| ops::gradient_reversal(&a[0], 0.5),
        candles: |a| (a[0].detach() * 1.5)? + (&a[0] * -0.5)?,
    },
];

fn image((_, to, side): (usize, usize, usize)) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side]]
}

/// An image, and two numbers for each of its channels.
fn channels((_, to, side): (usize, usize, usize)) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side], vec![to], vec![to]]
}

/// The values of the image in rows of 256, and two numbers for each column.
fn rows((_, to, side): (usize, usize, usize)) -> Vec<Vec<usize>> {
    vec![vec![BATCH * to * side * side / 256, 256], vec![256], vec![256]]
}

/// An image at twice its size as two matrix products, since candle's own has no gradient.
fn doubled(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, h, w) = x.dims4()?;
    let matrix = |size: usize| -> Result<Tensor> {
        let mut values = vec![0f32; 2 * size * size];
        for i in 0..2 * size {
            let place = (i as f32 * 0.5 - 0.25).max(0.0);
            let (start, beyond) = (place as usize, place.fract());
            values[i * size + start] += 1.0 - beyond;
            values[i * size + (start + 1).min(size - 1)] += beyond;
        }
        Tensor::from_vec(values, (2 * size, size), &Device::Cpu)
    };
    let x = x.reshape((batch * channels, h, w))?;
    let y = matrix(h)?.broadcast_matmul(&x)?.broadcast_matmul(&matrix(w)?.t()?)?;
    y.reshape((batch, channels, 2 * h, 2 * w))
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
