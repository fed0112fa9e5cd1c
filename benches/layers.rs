//! Linear maps, depthwise convolution, dropout and what puts features together beside candle's, f32, at the sizes of a
//! small network.

mod pairs;

use candle_core::{D, Result, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use pairs::{BATCH, Pair, Stage, image};
use taskweave::kernels::ops::{self, Activation, Attention, Conv2d};
use taskweave::prelude::Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Channels of an image, to each of which a depthwise convolution has a kernel of its own.
const CHANNELS: usize = 16;

const PAIRS: [Pair; 9] = [
    Pair {
        name: "linear",
        shapes: linear,
        ours: |a| ops::linear(&a[0], &a[1], Some(&a[2])),
        candles: |a| a[0].matmul(&a[1].t()?)?.broadcast_add(&a[2]),
    },
    Pair {
        name: "linear_then gelu",
        shapes: linear,
        ours: |a| ops::linear_then(&a[0], [Some(&a[1]), Some(&a[2])], Activation::Gelu),
        candles: |a| a[0].matmul(&a[1].t()?)?.broadcast_add(&a[2])?.gelu_erf(),
    },
    Pair {
        name: "depthwise conv2d",
        shapes: |(_, _, side)| vec![vec![BATCH, CHANNELS, side, side], vec![CHANNELS, 1, 3, 3]],
        ours: |a| {
            let config = Conv2d { padding: 1, groups: CHANNELS, ..Conv2d::default() };
            ops::conv2d(&a[0], &a[1], None, config)
        },
        candles: |a| a[0].conv2d(&a[1], 1, 1, 1, CHANNELS),
    },
    Pair {
        name: "dropout",
        shapes: image,
        ours: |a| ops::dropout(&a[0], 0.5, &mut Rng::new(0)),
        candles: |a| candle_nn::ops::dropout(&a[0], 0.5),
    },
    Pair { name: "add", shapes: twice, ours: |a| ops::add(&a[0], &a[1]), candles: |a| &a[0] + &a[1] },
    Pair {
        name: "concat_features",
        shapes: twice,
        ours: |a| ops::concat_features(&[&a[0], &a[1]]),
        candles: |a| Tensor::cat(&[&a[0], &a[1]], 1),
    },
    Pair {
        name: "log_softmax",
        shapes: |(_, to, side)| vec![vec![BATCH * side * side, to]],
        ours: |a| ops::log_softmax(&a[0]),
        candles: |a| candle_nn::ops::log_softmax(&a[0], D::Minus1),
    },
    Pair {
        name: "attention",
        shapes: |(_, to, side)| vec![vec![BATCH, side, 4 * to]; 3],
        ours: |a| ops::attention(&a[0], &a[1], &a[2], Attention::default()),
        candles: attended,
    },
    Pair {
        name: "gradient_scale",
        shapes: image,
        ours: |a| ops::gradient_scale(&a[0], 0.25),
        candles: |a| (&a[0] * 0.25)? + (&a[0] * 0.75)?.detach(),
    },
];

/// As many rows as there are pixels, and weight and bias.
fn linear((from, to, side): Stage) -> Vec<Vec<usize>> {
    let (inputs, outputs) = (16 * from, 16 * to);
    vec![vec![side * side, inputs], vec![outputs, inputs], vec![outputs]]
}

fn twice((_, to, side): Stage) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side]; 2]
}

fn attended(a: &[Tensor]) -> Result<Tensor> {
    let scores = (a[0].matmul(&a[1].t()?)? * (1.0 / (a[0].dim(2)? as f64).sqrt()))?;
    candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&a[2])
}

fn layers(criterion: &mut Criterion) {
    pairs::at_all_stages(criterion, &PAIRS);
}

criterion_group! {
    name = benches;
    config = pairs::short();
    targets = layers
}
criterion_main!(benches);
