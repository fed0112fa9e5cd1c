//! The smallest co-training model: N linear heads on the same 100 features, trained together.
//!
//! Head i predicts a yes or no of its own from all features. The objective is the mean of the N binary
//! cross-entropies, minimized by stochastic gradient descent. The sigmoid is inside the loss, so no probability
//! can leave [0, 1] and no logarithm can overflow.

use std::process::ExitCode;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use clap::Parser;
use taskweave::data::{Labels, Memory};
use taskweave::heads::{Backbone, Features, HardSharing, Network, Regression};
use taskweave::loss::scalarizer::Mean;
use taskweave::prelude::*;

const FEATURES: usize = 100;

/// N linear heads on 100 features, trained together
#[derive(Parser)]
struct Arguments {
    /// Number of heads
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Number of samples
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// Samples per batch
    #[arg(long, default_value_t = 50)]
    batch_size: usize,
    /// Passes over the samples
    #[arg(long, default_value_t = 5)]
    epochs: u64,
    /// Learning rate
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    rate: f64,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    for (name, count) in [("heads", arguments.heads), ("samples", arguments.samples)] {
        if !(1..=100_000).contains(&count) {
            return Err(Error::parameter(name, "1 to 100000", count));
        }
    }
    let rng = Rng::new(arguments.seed);
    let tasks: Vec<String> = (0..arguments.heads).map(|i| format!("head {i}")).collect();
    let loader = Loader::builder(Arc::new(data(&tasks, arguments.samples, &rng)?))
        .batch_size(arguments.batch_size)
        .order(Order::Shuffled)
        .rng(rng.fork("loader"))
        .build()?;
    let mut step = step(&tasks, arguments.rate, &rng)?;
    let (mut first, mut last) = (None, 0.0);
    for epoch in 0..arguments.epochs {
        for (i, batch) in loader.epoch(epoch).enumerate() {
            last = step.step(&batch?)?.value;
            first.get_or_insert(last);
            println!("epoch {epoch}  batch {i:3}  loss {last:.4}");
        }
    }
    // Guessing costs ln 2; a model that has learned nothing is an error.
    match first {
        Some(first) if last < 0.8 * first => Ok(()),
        _ => Err(Error::parameter("last loss", "below 0.8 of the first", format!("{last} after {first:?}"))),
    }
}

/// The heads alone: the trunk hands the features through.
fn step(tasks: &[String], rate: f64, rng: &Rng) -> Result<Step> {
    let params = Params::new(rng, DType::F32, &Device::Cpu);
    let features = Features::Vector { width: FEATURES };
    let head = |task: &String| -> Result<(String, Box<dyn Stage>)> {
        Ok((task.clone(), Box::new(Regression::new(&params.task(task), features, 1)?)))
    };
    let heads = Named::new(tasks.iter().map(head).collect::<Result<Vec<_>>>()?)?;
    let model = Network::new(Box::new(HardSharing::new("x", Backbone::new(Vec::new(), features))), heads);
    let mut step = Step::builder(model, params.clone())
        .balance(Balance::losses(Box::new(Mean)))
        .optimizer(OptimizerConfig::Sgd(Sgd { lr: rate, ..Sgd::default() }))
        .rng(rng);
    for task in tasks {
        step = step.criterion(task, BceWithLogits::default());
    }
    step.build()
}

/// Normal features; the label of head i is the sign of a hidden linear function of its own.
fn data(tasks: &[String], samples: usize, rng: &Rng) -> Result<Memory> {
    let draw = |label: &str, rows: usize| {
        let mut rng = rng.fork(label);
        let values: Vec<f32> = (0..rows * FEATURES).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, (rows, FEATURES), &Device::Cpu)
    };
    let x = draw("features", samples)?;
    let target = |task: &String| -> Result<(String, (Labels, Target))> {
        let hidden = draw(task, 1)?;
        let label = x.matmul(&hidden.t()?)?.gt(0.0)?.to_dtype(DType::F32)?;
        Ok((task.clone(), (Labels::Value(vec![1]), Target::new(label)?)))
    };
    let targets = tasks.iter().map(target).collect::<Result<Vec<_>>>()?;
    Memory::new(Named::new([("x", x)])?, Named::new(targets)?)
}
