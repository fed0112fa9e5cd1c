//! The time of one training step of several workloads, as one line of JSON.
//!
//! Flags and keys are those of the yardstick that it is compared with. A step is: forward, losses, backward, Adam.

mod step_workloads;

use std::process::ExitCode;
use std::time::Instant;

use candle_core::Device;
use clap::{Parser, ValueEnum};
use step_workloads::{Memory, Name, StepMode, Stepper};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The time of one training step
#[derive(Parser)]
struct Arguments {
    /// What is trained
    #[arg(long, default_value = "mlp8")]
    workload: Name,
    /// What a step does
    #[arg(long, default_value = "ew")]
    mode: StepMode,
    /// Timed steps, after three to warm up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Cpu,
    Cuda,
    Metal,
}

impl Place {
    fn device(self) -> Result<Device> {
        Ok(match self {
            Self::Cpu => Device::Cpu,
            Self::Cuda => Device::new_cuda(0)?,
            Self::Metal => Device::new_metal(0)?,
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<serde_json::Value> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads as usize);
    pool.build_global().map_err(|e| Error::parameter("threads", "a pool of that size", e))?;
    let device = arguments.device.device()?;
    let mut trainer = Stepper::new(arguments.workload, &device)?;
    for _ in 0..3 {
        trainer.step(arguments.mode)?;
    }
    let mut times = Vec::new();
    for _ in 0..arguments.runs {
        let start = Instant::now();
        trainer.step(arguments.mode)?;
        device.synchronize()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let mode = arguments.mode.to_possible_value();
    Ok(serde_json::json!({
        "workload": arguments.workload.label(),
        "mode": mode.as_ref().map(|mode| mode.get_name()),
        "threads": arguments.threads,
        "median_ms": times[times.len() / 2],
        "min_ms": times[0],
        "peak_rss_mb": Memory::now().map(|memory| memory.peak_mib),
        "params": trainer.workload.params.count(),
    }))
}
