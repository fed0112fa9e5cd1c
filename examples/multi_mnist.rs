//! Two overlaid digits on one image: every way of balancing two tasks, against one network per task.
//!
//! Reads MNIST from `--root`, or from the folder `mnist` in the folder that `TASKWEAVE_DATA` names; without either it says so and
//! ends. The default is a telling choice of methods on few images; `--full` takes every method of the crate and more images.

mod image_job;
mod pair_job;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use image_job::Earlier;
use pair_job::{EVERY, JobConfig, SOME};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two overlaid digits on one image: every way of balancing two tasks
#[derive(Parser)]
struct Arguments {
    /// Folder of MNIST's idx files (.gz or not) [default: mnist in the folder that TASKWEAVE_DATA names]
    #[arg(long)]
    root: Option<PathBuf>,
    /// Folder of the run [default: runs/multi_mnist, with --full runs/multi_mnist_full]
    #[arg(long)]
    run: Option<PathBuf>,
    /// Remove an earlier run in that folder first
    #[arg(long)]
    fresh: bool,
    /// Every method, and more images
    #[arg(long)]
    full: bool,
    /// A method instead of those of the list, may be repeated: `losses NAME` for a scalarizer, `gradients NAME` for an
    /// aggregator; NAME may be a JSON object with parameters
    #[arg(long)]
    method: Vec<String>,
    /// Number of seeds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=1000))]
    seeds: u64,
    /// Passes over the training images
    #[arg(long, default_value_t = 3)]
    epochs: u64,
    /// Training images [default: 3000, with --full 10000]
    #[arg(long)]
    samples: Option<usize>,
    /// The largest learning rate
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    rate: f64,
    /// Only look for a learning rate: validation accuracies of the sum and the single tasks at a few rates
    #[arg(long)]
    tune: bool,
}

fn main() -> ExitCode {
    image_job::exit(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    let wanted = ("the folder of MNIST", "mnist");
    let Some(root) = image_job::files("multi_mnist", arguments.root, wanted) else { return Ok(()) };
    let (name, train, test) =
        if arguments.full { ("multi_mnist_full", 10_000, 5000) } else { ("multi_mnist", 3000, 2000) };
    let list: Vec<String> =
        if arguments.full { EVERY } else { SOME }.iter().map(|text| text.to_string()).collect();
    let job = JobConfig {
        samples: [arguments.samples.unwrap_or(train), 1000, test],
        widths: vec![8, 16],
        hidden: 32,
        batch_size: 50,
        epochs: arguments.epochs,
        rate: arguments.rate,
        weight_decay: 0.01,
        methods: if arguments.method.is_empty() { list } else { arguments.method },
        seeds: (0..arguments.seeds).collect(),
    };
    if arguments.tune {
        return pair_job::tune(&job, &root);
    }
    let folder = arguments.run.unwrap_or_else(|| PathBuf::from("runs").join(name));
    pair_job::compare(&job, &root, (&folder, Earlier::of(arguments.fresh)))
}
