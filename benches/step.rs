//! One joint training step of a network with two tasks on 32 × 32 images, batch 32, Adam.

use std::sync::Arc;
use std::time::Duration;

use candle_core::{DType, Device};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn two_tasks() -> Result<Step> {
    let rng = Rng::new(0);
    let params = Params::new(&rng, DType::F32, &Device::Cpu);
    let network = NetworkConfig {
        view: "image".into(),
        backbone: CnnConfig::new(3, &[16, 32, 64]),
        heads: Named::new([
            ("class", HeadConfig::Classification { classes: 10 }),
            ("mask", HeadConfig::Dense { classes: 2 }),
        ])?,
    };
    Step::builder(network.build(&params)?, params)
        .criterion("class", CrossEntropy::default())
        .criterion("mask", CrossEntropy::default())
        .rng(&rng)
        .build()
}

fn first_batch() -> Result<Batch> {
    let shapes = Arc::new(Shapes::new(ShapesConfig { len: 32, ..ShapesConfig::default() })?);
    let mut batches = Loader::builder(shapes).batch_size(32).build()?.epoch(0);
    batches.next().unwrap_or_else(|| Err(Error::parameter("batches", "at least one", 0)))
}

fn joint(criterion: &mut Criterion) {
    let (mut step, batch) = (two_tasks().unwrap(), first_batch().unwrap());
    let mut group = criterion.benchmark_group("step");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("joint, two tasks", |b| b.iter(|| step.step(&batch).unwrap()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000);
    targets = joint
}
criterion_main!(benches);
