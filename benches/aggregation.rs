//! Gradients of several tasks: their inner products, their weights, the sum, and whole aggregators beside one pass over
//! the memory of the rows; f32.

use std::time::Duration;

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use rayon::prelude::*;
use taskweave::loss::weighting::{Weighting, WeightingConfig};
use taskweave::loss::{Aggregator, AggregatorConfig, Gramian, Jacobian};
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
    let losses = Named::new((0..TASKS).map(|task| (format!("task {task}"), 1.0 + task as f64)));
    Jacobian::new(rows.unwrap()).unwrap().with_losses(losses.unwrap()).unwrap()
}

/// What one pass over the memory of all rows costs: it is read and summed, in parallel.
fn pass(rows: &[Vec<f32>]) -> f32 {
    let sum = |piece: &[f32]| {
        let mut lanes = [0f32; 16];
        piece.as_chunks::<16>().0.iter().for_each(|x| (0..16).for_each(|k| lanes[k] += x[k]));
        lanes.iter().sum::<f32>()
    };
    rows.iter().map(|row| row.par_chunks(1 << 16).map(sum).sum::<f32>()).sum()
}

/// Aggregators beside a pass over the rows.
const AGGREGATORS: [&str; 9] = [
    r#"{"name": "upgrad"}"#,
    r#"{"name": "per_group", "of": {"name": "upgrad"}}"#,
    r#"{"name": "trimmed_mean"}"#,
    r#"{"name": "graddrop"}"#,
    r#"{"name": "db_mtl", "beta": 0.0}"#,
    r#"{"name": "db_mtl"}"#,
    r#"{"name": "moco"}"#,
    r#"{"name": "excess_mtl"}"#,
    r#"{"name": "sam_gs"}"#,
];

fn aggregators(criterion: &mut Criterion) {
    let jacobian = jacobian();
    let mut group = criterion.benchmark_group("aggregator");
    group.sampling_mode(SamplingMode::Flat);
    let rows = vec![vec![1f32; BLOCKS.iter().sum()]; TASKS];
    group.bench_function("one pass over the rows", |b| b.iter(|| pass(&rows)));
    for text in AGGREGATORS {
        let mut aggregator: Box<dyn Aggregator> =
            serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap();
        group.bench_function(text, |b| b.iter(|| aggregator.aggregate(&jacobian).unwrap()));
    }
    group.finish();
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

/// The methods that solve something, with their parameters.
const WEIGHTINGS: [&str; 15] = [
    r#"{"name": "gradnorm"}"#,
    r#"{"name": "mgda"}"#,
    r#"{"name": "dualproj"}"#,
    r#"{"name": "upgrad"}"#,
    r#"{"name": "pcgrad"}"#,
    r#"{"name": "gradvac"}"#,
    r#"{"name": "imtl_g"}"#,
    r#"{"name": "cagrad"}"#,
    r#"{"name": "conic_grad"}"#,
    r#"{"name": "nash_mtl"}"#,
    r#"{"name": "fairgrad", "alpha": 2.0}"#,
    r#"{"name": "aligned_mtl"}"#,
    r#"{"name": "config"}"#,
    r#"{"name": "krum"}"#,
    r#"{"name": "pcd"}"#,
];

fn weightings(criterion: &mut Criterion) {
    for tasks in [8, 40] {
        let mut group = criterion.benchmark_group(format!("{tasks} tasks"));
        let ones = vec!["1.0"; tasks].join(", ");
        let guided = ["epo", "ferero"].map(|name| format!(r#"{{"name": "{name}", "preference": [{ones}]}}"#));
        let gramian = gramian(tasks).with_losses((0..tasks).map(|i| 1.0 + i as f64).collect()).unwrap();
        for text in WEIGHTINGS.iter().map(|text| text.to_string()).chain(guided) {
            let config: WeightingConfig = serde_json::from_str(&text).unwrap();
            let mut weighting: Box<dyn Weighting> = config.build().unwrap();
            let name = text.split('"').nth(3).unwrap();
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| weighting.weights(&gramian).unwrap());
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000);
    targets = rows, aggregators, weightings
}
criterion_main!(benches);
