//! Gradients of several tasks: their inner products, their weights and the sum, f32.

use std::time::Duration;

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::loss::weighting::{UpGrad, Weighting};
use taskweave::loss::{Gramian, Jacobian};
use taskweave::prelude::{Named, Rng};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks, and the length of each of the blocks that make up 2 million parameters.
const TASKS: usize = 8;
const BLOCKS: [usize; 5] = [1_000_000, 500_000, 400_000, 99_000, 1_000];

fn normal(rng: &mut Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.normal() as f32).collect()
}

fn jacobian() -> Jacobian {
    let mut rng = Rng::new(0);
    let mut row = || {
        let blocks = BLOCKS.iter().enumerate();
        let blocks = blocks.map(|(block, &count)| {
            let values = Tensor::from_vec(normal(&mut rng, count), count, &Device::Cpu).unwrap();
            (format!("block {block}"), values.into())
        });
        Named::new(blocks).unwrap()
    };
    let rows = Named::new((0..TASKS).map(|task| (format!("task {task}"), row())));
    Jacobian::new(rows.unwrap()).unwrap()
}

fn rows(criterion: &mut Criterion) {
    let (jacobian, weights) = (jacobian(), [1.0 / TASKS as f64; TASKS]);
    let mut group = criterion.benchmark_group("jacobian");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("gramian", |b| b.iter(|| jacobian.gramian().unwrap()));
    group.bench_function("combined", |b| b.iter(|| jacobian.combined(&weights).unwrap()));
    group.finish();
}

/// The Gramian of rows with a common part, without which most pairs of many rows would be in conflict.
fn gramian(tasks: usize) -> Gramian {
    let mut rng = Rng::new(0);
    let mut rows: Vec<Vec<f32>> = (0..tasks).map(|_| normal(&mut rng, 2 * tasks)).collect();
    rows.iter_mut().for_each(|row| row[0] += 1.0);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum();
    let products: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    Gramian::new((0..tasks).map(|task| format!("task {task}")), &products).unwrap()
}

fn weightings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("upgrad");
    for tasks in [8, 40] {
        let gramian = gramian(tasks);
        group.bench_function(BenchmarkId::from_parameter(tasks), |b| {
            b.iter(|| UpGrad.weights(&gramian).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000);
    targets = rows, weightings
}
criterion_main!(benches);
