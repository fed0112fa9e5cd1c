//! One joint training step of a network with two tasks on 32 × 32 images, batch 32, Adam; and steps of a network with
//! eight tasks under balances of losses, of gradients of parameters and of the representation.

use std::sync::Arc;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use taskweave::heads::Regression;
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

/// Eight regressions on 64 × 256 numbers through three layers of 512.
fn eight_tasks(balance: &str) -> Result<(Step, Batch)> {
    let rng = Rng::new(0);
    let params = Params::new(&rng, DType::F32, &Device::Cpu);
    let trunk = MlpConfig { inputs: 256, widths: vec![512; 3], dropout: 0.0 }.build(&params.shared())?;
    let tasks: Vec<String> = (0..8).map(|task| format!("task{task}")).collect();
    let head = |task: &String| -> Result<(String, Box<dyn Stage>)> {
        Ok((task.clone(), Box::new(Regression::new(&params.task(task), trunk.features(), 1)?)))
    };
    let heads = Named::new(tasks.iter().map(head).collect::<Result<Vec<_>>>()?)?;
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let config: BalanceConfig =
        serde_json::from_str(balance).map_err(|error| Error::parameter("balance", "a balance", error))?;
    let mut step = Step::builder(model, params).balance(config.build()?).rng(&rng);
    for task in &tasks {
        step = step.criterion(task, Mse);
    }
    let draw = |label: &str, width: usize| {
        let mut rng = rng.fork(label);
        let values: Vec<f32> = (0..64 * width).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, (64, width), &Device::Cpu)
    };
    let target = |task: &String| Ok((task.clone(), Target::new(draw(task, 1)?)?));
    let targets = Named::new(tasks.iter().map(target).collect::<Result<Vec<_>>>()?)?;
    let inputs = Named::new([("x", draw("x", 256)?)])?;
    Ok((step.build()?, Batch { inputs, targets, indices: (0..64).collect() }))
}

fn balances(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step, eight tasks");
    group.sampling_mode(SamplingMode::Flat);
    for (name, balance) in [
        ("losses", "{}"),
        ("parameters", r#"{"gradients": {"of": "parameters", "method": {"name": "upgrad"}}}"#),
        ("parameters, stored", r#"{"gradients": {"of": "parameters", "method": {"name": "graddrop"}}}"#),
        ("representation", r#"{"gradients": {"of": "representation", "method": {"name": "upgrad"}}}"#),
        ("samples", r#"{"gradients": {"of": "samples", "method": {"name": "upgrad"}}}"#),
    ] {
        let (mut step, batch) = eight_tasks(balance).unwrap();
        group.bench_function(name, |b| b.iter(|| step.step(&batch).unwrap()));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000);
    targets = joint, balances
}
criterion_main!(benches);
