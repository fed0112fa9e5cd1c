//! Class and mask of real images on one network, against one network per task.
//!
//! Masks of photographs and digits come from Otsu's threshold on luminance. Without arguments it uses the drawn
//! shapes; with `--data cifar10` or `--data mnist` and `--root` it reads files.

mod image_job;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use image_job::{Earlier, JobConfig, Source};
use taskweave::data::{Padding, TransformConfig};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Class and mask of real images on one network, against one network per task
#[derive(Parser)]
struct Arguments {
    /// The data
    #[arg(long, value_enum, default_value = "shapes")]
    data: Data,
    /// Folder of the data: CIFAR-10 as binary batches or as train/ and test/ with a folder per class, MNIST as
    /// idx files (.gz or not)
    #[arg(long)]
    root: Option<PathBuf>,
    /// Folder of the run [default: runs/image_multitask/<data>]
    #[arg(long)]
    run: Option<PathBuf>,
    /// Remove an earlier run in that folder first
    #[arg(long)]
    fresh: bool,
    /// Number of seeds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1000))]
    seeds: u64,
    /// Passes over the training images
    #[arg(long, default_value_t = 3)]
    epochs: u64,
    /// Training images
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// Images to be judged by
    #[arg(long, default_value_t = 1000)]
    test_samples: usize,
    /// Channels of the three stages of the multi-task network
    #[arg(long, value_delimiter = ',', default_value = "16,32,64")]
    widths: Vec<usize>,
    /// The largest learning rate
    #[arg(long, default_value_t = 0.02, allow_negative_numbers = true)]
    rate: f64,
    /// Weight of the mask's loss beside the class's
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    mask_weight: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Data {
    Shapes,
    Cifar10,
    Mnist,
}

fn main() -> ExitCode {
    image_job::exit(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    let root = || {
        arguments.root.clone().ok_or_else(|| Error::parameter("--root", "the folder of the data", "nothing"))
    };
    let flip = TransformConfig::Flip { p: 0.5 };
    let shift = TransformConfig::Shift { pixels: 2, padding: Padding::Edge };
    let (name, source, augment) = match arguments.data {
        Data::Shapes => ("shapes", Source::Shapes(ShapesConfig::default()), vec![]),
        Data::Cifar10 => ("cifar10", Source::Cifar10(root()?), vec![flip, shift]),
        Data::Mnist => ("mnist", Source::Mnist(root()?), vec![shift]),
    };
    let folder = arguments.run.unwrap_or_else(|| PathBuf::from("runs/image_multitask").join(name));
    let job = JobConfig {
        source,
        samples: [arguments.samples, 500, arguments.test_samples],
        widths: arguments.widths,
        dropout: 0.0,
        batch_size: 32,
        epochs: arguments.epochs,
        rate: arguments.rate,
        weight_decay: 0.01,
        mask_weight: arguments.mask_weight,
        period: 1,
        augment,
        seeds: (0..arguments.seeds).collect(),
    };
    image_job::compare(&job, &folder, Earlier::of(arguments.fresh))
}
