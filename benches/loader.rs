//! Drawing one sample of shapes, and one epoch of 256 of them by the number of workers.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::prelude::{Dataset, Loader, Order, Rng, Shapes, ShapesConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAMPLES: usize = 256;

fn shapes() -> Arc<Shapes> {
    Arc::new(Shapes::new(ShapesConfig { len: SAMPLES, ..ShapesConfig::default() }).unwrap())
}

fn sample(criterion: &mut Criterion) {
    let shapes = shapes();
    let mut index = 0;
    criterion.bench_function("loader/shapes sample", |b| {
        b.iter(|| {
            index = (index + 1) % SAMPLES;
            shapes.get(index).unwrap()
        });
    });
}

fn epoch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loader/epoch of 256");
    group.sampling_mode(SamplingMode::Flat);
    for workers in [0, 1, 2] {
        let loader = Loader::builder(shapes())
            .batch_size(32)
            .order(Order::Shuffled)
            .rng(Rng::new(0))
            .workers(workers)
            .build()
            .unwrap();
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter(|| loader.epoch(0).map(|batch| batch.unwrap().len()).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000);
    targets = sample, epoch
}
criterion_main!(benches);
