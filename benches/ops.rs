//! Differentiable functions beside candle's, at the sizes of a small network on 32 × 32 images, batch 32, f32; those
//! of sequences take four times a stage's channels as width, and twice its side as steps.
//!
//! `forward` runs on plain tensors, `both` on variables with the gradient of every argument.

use std::collections::HashMap;
use std::time::Duration;

use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Result, Shape, Tensor, Var};
use candle_nn::{ModuleT, RNN, VarBuilder, ops::softmax};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::kernels::ops::{self, Attention, Conv2d, RecurrentWeights, Statistics};
use taskweave::prelude::{Result as OurResult, Rng};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 32;
const EPS: f64 = 1e-5;
const HEADS: usize = 4;
/// Channels in, channels out, height and width of the three stages.
const STAGES: [(usize, usize, usize); 3] = [(3, 16, 32), (16, 32, 16), (32, 64, 8)];

/// One function in two implementations, and the shapes of its arguments at a stage.
struct Pair {
    name: &'static str,
    shapes: fn((usize, usize, usize)) -> Vec<Vec<usize>>,
    ours: fn(&[Tensor]) -> OurResult<Tensor>,
    candles: fn(&[Tensor]) -> Result<Tensor>,
}

const PAIRS: [Pair; 9] = [
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
fn recurrent((_, to, side): (usize, usize, usize), gates: usize) -> Vec<Vec<usize>> {
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
    targets = all_ops
}
criterion_main!(benches);
