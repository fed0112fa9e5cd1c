//! Functions of sequences beside candle's, f32, batch 32: the width is four times a stage's channels, and there are
//! twice as many steps as the stage has rows.

mod pairs;

use std::collections::HashMap;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{RNN, VarBuilder, ops::softmax};
use criterion::{Criterion, criterion_group, criterion_main};
use pairs::{BATCH, Pair, Stage};
use taskweave::kernels::ops::{self, Attention, RecurrentWeights};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEADS: usize = 4;

const PAIRS: [Pair; 4] = [
    Pair {
        name: "self_attention",
        shapes: |(_, to, side)| vec![vec![BATCH, 2 * side, 12 * to]],
        ours: |a| ops::self_attention(&a[0], Attention { heads: HEADS, ..Attention::default() }),
        candles: composed_attention,
    },
    Pair {
        name: "gru",
        shapes: |stage| recurrent(stage, 3),
        ours: |a| ops::gru(&a[0], weights(a), None, None),
        candles: |a| {
            let (units, input) = (a[2].dim(1)?, a[0].dim(2)?);
            let net = candle_nn::gru(input, units, Default::default(), builder(a))?;
            net.states_to_tensor(&net.seq(&a[0])?)
        },
    },
    Pair {
        name: "lstm",
        shapes: |stage| recurrent(stage, 4),
        ours: |a| ops::lstm(&a[0], weights(a), None, None),
        candles: |a| {
            let (units, input) = (a[2].dim(1)?, a[0].dim(2)?);
            let net = candle_nn::lstm(input, units, Default::default(), builder(a))?;
            net.states_to_tensor(&net.seq(&a[0])?)
        },
    },
    Pair {
        name: "softmax",
        shapes: |(_, to, side)| vec![vec![BATCH * side * side, to]],
        ours: |a| ops::softmax(&a[0]),
        candles: |a| softmax(&a[0], D::Minus1),
    },
];

fn composed_attention(a: &[Tensor]) -> Result<Tensor> {
    let (batch, time, width) = a[0].dims3()?;
    let dim = width / 3 / HEADS;
    let apart = a[0].reshape((batch, time, 3, HEADS, dim))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
    let [q, k, v] = [apart.get(0)?, apart.get(1)?, apart.get(2)?];
    let scores = (q.matmul(&k.t()?)? * (1.0 / (dim as f64).sqrt()))?;
    softmax(&scores, D::Minus1)?.matmul(&v)?.transpose(1, 2)?.reshape((batch, time, width / 3))
}

/// Shapes of input, weights and biases.
fn recurrent((_, to, side): Stage, gates: usize) -> Vec<Vec<usize>> {
    let (units, rows) = (4 * to, 4 * to * gates);
    vec![vec![BATCH, 2 * side, to], vec![rows, to], vec![rows, units], vec![rows], vec![rows]]
}

fn weights(a: &[Tensor]) -> RecurrentWeights<'_> {
    RecurrentWeights { input: &a[1], hidden: &a[2], bias_input: &a[3], bias_hidden: &a[4] }
}

fn builder(a: &[Tensor]) -> VarBuilder<'static> {
    let names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"].map(String::from);
    let tensors: HashMap<String, Tensor> = names.into_iter().zip(a[1..].iter().cloned()).collect();
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

fn sequences(criterion: &mut Criterion) {
    pairs::at_all_stages(criterion, &PAIRS);
}

criterion_group! {
    name = benches;
    config = pairs::short();
    targets = sequences
}
criterion_main!(benches);
