//! Cross-entropy of one label per image and of one label per pixel, forward and backward, beside candle's, f32.

use std::time::Duration;

use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use taskweave::loss::criterion::mean_loss;
use taskweave::prelude::{CrossEntropy, Rng, Target};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn cross_entropy(criterion: &mut Criterion) {
    for shape in [&[64, 10][..], &[64, 2, 32, 32]] {
        at_shape(criterion, shape);
    }
}

fn at_shape(criterion: &mut Criterion, shape: &[usize]) {
    let mut rng = Rng::new(0);
    let classes = shape[1];
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    let logits = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap();
    let per_label = [&shape[..1], &shape[2..]].concat();
    let count = per_label.iter().product();
    let labels: Vec<u32> = (0..count).map(|_| rng.below(classes) as u32).collect();
    let labels = Tensor::from_vec(labels, per_label, &Device::Cpu).unwrap();
    let target = Target::new(labels.clone()).unwrap();
    let at = format!("{shape:?}");

    let mut group = criterion.benchmark_group("cross_entropy both");
    let ours = CrossEntropy::default();
    group.bench_function(BenchmarkId::new("ours", &at), |b| {
        b.iter(|| mean_loss(&ours, &logits, &target).unwrap().backward().unwrap());
    });
    group.bench_function(BenchmarkId::new("candle", &at), |b| {
        b.iter(|| candles(&logits, &labels).and_then(|loss| loss.backward()).unwrap());
    });
    group.finish();
}

/// Candle's takes rows of logits, so that those of images are brought into rows first.
fn candles(logits: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    let classes = logits.dim(1)?;
    let rows = match logits.rank() {
        2 => logits.clone(),
        _ => logits.flatten_from(2)?.transpose(1, 2)?.reshape(((), classes))?,
    };
    candle_nn::loss::cross_entropy(&rows, &labels.flatten_all()?)
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000);
    targets = cross_entropy
}
criterion_main!(benches);
