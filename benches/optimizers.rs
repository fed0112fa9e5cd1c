//! One step of every update rule on a million parameters in sixteen matrices, f32; candle's where it has the rule.

use std::time::Duration;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::optim::{self, Optimizer as _};
use criterion::{Criterion, criterion_group, criterion_main};
use taskweave::kernels::optim::{Adagrad, Optimizer, RmsProp};
use taskweave::kernels::{Kind, Owner, Param};
use taskweave::prelude::{Adam, AdamW, Named, OptimizerConfig, Rng, Sgd};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RATE: f64 = 1e-3;

fn draw(rng: &mut Rng) -> Tensor {
    let values: Vec<f32> = (0..256 * 256).map(|_| rng.normal() as f32).collect();
    Tensor::from_vec(values, (256, 256), &Device::Cpu).unwrap()
}

fn rules() -> [(&'static str, OptimizerConfig); 6] {
    [
        ("sgd", OptimizerConfig::Sgd(Sgd { lr: RATE, ..Sgd::default() })),
        ("sgd momentum", OptimizerConfig::Sgd(Sgd { lr: RATE, momentum: 0.9, ..Sgd::default() })),
        ("adam", OptimizerConfig::Adam(Adam { lr: RATE, ..Adam::default() })),
        ("adamw", OptimizerConfig::AdamW(AdamW { lr: RATE, ..AdamW::default() })),
        ("rmsprop", OptimizerConfig::RmsProp(RmsProp { lr: RATE, ..RmsProp::default() })),
        ("adagrad", OptimizerConfig::Adagrad(Adagrad { lr: RATE, ..Adagrad::default() })),
    ]
}

fn ours(criterion: &mut Criterion) {
    for (name, rule) in rules() {
        let mut rng = Rng::new(0);
        let mut param =
            || Param::new(Var::from_tensor(&draw(&mut rng)).unwrap(), Kind::Weight, Owner::Shared);
        let params = Named::new((0..16).map(|i| (format!("w{i:02}"), param()))).unwrap();
        let gradients = params.map(|_, _| draw(&mut rng));
        let mut optimizer = Optimizer::new(rule, params).unwrap();
        criterion.bench_function(&format!("optimizers/{name}/ours"), |b| {
            b.iter(|| optimizer.step(&gradients).unwrap());
        });
    }
}

fn candles(criterion: &mut Criterion) {
    run_candles(criterion, "sgd", |vars| optim::SGD::new(vars, RATE));
    run_candles(criterion, "adamw", |vars| optim::AdamW::new_lr(vars, RATE));
}

fn run_candles<O: optim::Optimizer>(criterion: &mut Criterion, name: &str, make: fn(Vec<Var>) -> Result<O>) {
    let mut rng = Rng::new(0);
    let vars: Vec<Var> = (0..16).map(|_| Var::from_tensor(&draw(&mut rng)).unwrap()).collect();
    let gradients = gradients(&vars, &mut rng).unwrap();
    let mut optimizer = make(vars).unwrap();
    criterion.bench_function(&format!("optimizers/{name}/candle"), |b| {
        b.iter(|| optimizer.step(&gradients).unwrap());
    });
}

/// Candle takes gradients only from a backward pass: that of Σ gᵢ wᵢ is g.
fn gradients(vars: &[Var], rng: &mut Rng) -> Result<GradStore> {
    let products =
        vars.iter().map(|var| (var.as_tensor() * draw(rng))?.sum_all()).collect::<Result<Vec<_>>>()?;
    Tensor::stack(&products, 0)?.sum_all()?.backward()
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .nresamples(10_000);
    targets = ours, candles
}
criterion_main!(benches);
