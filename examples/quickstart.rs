//! Two tasks on one network against one network per task, on drawn shapes: what is in the image, and where.
//!
//! Trains four methods with one budget over three seeds, prints a table, and writes a report, metrics and
//! checkpoints. Started again, it goes on where it was, or shows the table of the finished run.

mod image_job;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use image_job::{Earlier, JobConfig, Source};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two tasks on one network against one network per task, on drawn shapes
#[derive(Parser)]
struct Arguments {
    /// Folder of the run
    #[arg(long, default_value = "runs/quickstart")]
    run: PathBuf,
    /// Remove an earlier run in that folder first
    #[arg(long)]
    fresh: bool,
    /// Number of seeds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=1000))]
    seeds: u64,
    /// Passes over the training images
    #[arg(long, default_value_t = 5)]
    epochs: u64,
    /// Training images
    #[arg(long, default_value_t = 1500)]
    samples: usize,
    /// How hard the images are, from 0 to 1
    #[arg(long, default_value_t = 0.3, allow_negative_numbers = true)]
    difficulty: f64,
}

fn main() -> ExitCode {
    image_job::exit(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    let shapes = ShapesConfig { difficulty: arguments.difficulty, ..ShapesConfig::default() };
    let job = JobConfig {
        source: Source::Shapes(shapes),
        samples: [arguments.samples, 500, 1000],
        widths: vec![16, 32, 64],
        dropout: 0.0,
        batch_size: 32,
        epochs: arguments.epochs,
        // The rate and the weight were chosen on the validation images, the same rate for every method.
        rate: 0.02,
        weight_decay: 0.01,
        mask_weight: 3.0,
        period: 1,
        augment: Vec::new(),
        seeds: (0..arguments.seeds).collect(),
    };
    image_job::compare(&job, &arguments.run, Earlier::of(arguments.fresh))
}
