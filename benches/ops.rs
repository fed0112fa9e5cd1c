//! Functions of images beside candle's, at the sizes of a small network on 32 × 32 images, batch 32, f32.
//!
//! Last come the convolutions of a larger network at batch 64, ours alone.

mod pairs;

use candle_core::{Device, Result, Tensor};
use candle_nn::{Module, ModuleT};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use pairs::{BATCH, Pair, Stage, backward, draw, image, variable};
use taskweave::kernels::ops::{
    self, Activation, BatchNorm, Border, Conv2d, ConvTranspose2d, Corners, Pool2d, Statistics,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPS: f64 = 1e-5;

/// Batch of the larger network's convolutions.
const LARGE_BATCH: usize = 64;
/// Channels in, channels out, height and width of them.
const LARGE: [Stage; 5] = [(3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16), (128, 256, 8)];

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

/// An image, and two numbers for each of its channels.
fn channels((_, to, side): Stage) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side], vec![to], vec![to]]
}

/// The values of the image in rows of 256, and two numbers for each column.
fn rows((_, to, side): Stage) -> Vec<Vec<usize>> {
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

fn images(criterion: &mut Criterion) {
    pairs::at_all_stages(criterion, &PAIRS);
}

fn large_convolutions(criterion: &mut Criterion) {
    let config = Conv2d { padding: 1, ..Conv2d::default() };
    for (from, to, side) in LARGE {
        let plain = [&[LARGE_BATCH, from, side, side][..], &[to, from, 3, 3], &[to]].map(draw);
        let mut traced = plain.clone().map(|x| variable(&x));
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

criterion_group! {
    name = benches;
    config = pairs::short();
    targets = images, large_convolutions
}
criterion_main!(benches);
