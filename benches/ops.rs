//! Differentiable functions beside candle's, at the sizes of a small network on 32 × 32 images, batch 32, f32.
//!
//! `forward` runs on plain tensors, `both` on variables with the gradient of every argument.

use std::time::Duration;

use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Result, Shape, Tensor, Var};
use candle_nn::ModuleT;
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::kernels::ops::{self, Activation, Conv2d, Statistics};
use taskweave::prelude::{Result as OurResult, Rng};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 32;
const EPS: f64 = 1e-5;
/// Rows of a table.
const ROWS: u32 = 10_000;
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
        name: "embedding",
        shapes: |(_, to, _)| vec![vec![ROWS as usize, to]],
        ours: |a| ops::embedding(&a[0], &ids()?),
        candles: |a| a[0].index_select(&ids()?, 0),
    },
    Pair {
        name: "expert_linear",
        shapes: |(from, to, side)| vec![vec![side * side, 4, from], vec![4, to, from], vec![4, to]],
        ours: |a| ops::expert_linear(&a[0], &a[1], Some(&a[2]), Activation::Relu),
        candles: |a| {
            let x = a[0].transpose(0, 1)?.contiguous()?;
            let y = x.matmul(&a[1].transpose(1, 2)?.contiguous()?)?;
            y.broadcast_add(&a[2].unsqueeze(1)?)?.relu()?.transpose(0, 1)?.contiguous()
        },
    },
    Pair {
        name: "mix",
        shapes: |(_, to, side)| vec![vec![side * side, 3, 4], vec![side * side, 4, to]],
        ours: |a| ops::mix(&a[0], &a[1]),
        candles: |a| candle_nn::ops::softmax(&a[0], D::Minus1)?.matmul(&a[1]),
    },
    Pair {
        name: "bce_with_logits",
        shapes: image,
        ours: |a| ops::bce_with_logits(&a[0], &a[0].zeros_like()?, 1.0),
        // Without the care for large logits.
        candles: |a| (a[0].exp()? + 1.0)?.log(),
    },
];

fn image((_, to, side): (usize, usize, usize)) -> Vec<Vec<usize>> {
    vec![vec![BATCH, to, side, side]]
}

/// Rows of a table that are looked up.
fn ids() -> Result<Tensor> {
    let ids: Vec<u32> = (0..2048u32).map(|i| i.wrapping_mul(2_654_435_761) % ROWS).collect();
    Tensor::from_vec(ids, 2048, &Device::Cpu)
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
