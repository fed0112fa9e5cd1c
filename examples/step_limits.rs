//! How a training step compares with what the machine can do, and how it grows.
//!
//! `work` sets the multiplications of a step against those of a large matrix product in the same run, `growth` the
//! cost of one gradient per task against their number, `threads` one thread against two, and `memory` watches the
//! resident memory over many steps.

mod step_workloads;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use clap::{Parser, ValueEnum};
use step_workloads::{Draw, Memory, Name, Objectives, StepMode, Stepper, Workload, cnn2, mlp8};
use taskweave::cotrain::report::Table;
use taskweave::kernels::autograd::{no_grad, record};
use taskweave::kernels::ops;
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a training step compares with what the machine can do
#[derive(Parser)]
struct Arguments {
    /// What to measure
    #[arg(default_value = "work")]
    part: Part,
    /// Timed steps of each kind, after two to warm up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Steps of each workload over which `memory` watches
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    steps: u32,
    /// Threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Operations per second beside those of a large matrix product
    Work,
    /// The gradients of 2, 4, 8, 16, 32 tasks beside forward + K × backward, without the update
    Growth,
    /// One thread beside two
    Threads,
    /// Resident memory over many steps
    Memory,
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
    let start = Instant::now();
    let rows = pool(arguments.threads)?.install(|| match arguments.part {
        Part::Work => work(arguments.runs),
        Part::Growth => growth(arguments.runs),
        Part::Threads => threads(arguments.runs),
        Part::Memory => memory(arguments.steps),
    })?;
    let mut table = Table::new(start.elapsed().as_secs_f64(), &[0])?;
    rows.iter().try_for_each(|(method, metrics)| table.samples(method.clone(), metrics))?;
    let folder = Path::new("runs/step_limits");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    print!("{}", table.to_text());
    Ok(())
}

type Rows = Vec<(String, Named<Vec<f64>>)>;

fn pool(threads: u32) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build();
    pool.map_err(|e| Error::parameter("threads", "a pool of that size", e))
}

/// Seconds that each of `runs` calls takes, after two to warm up.
fn seconds(runs: u32, mut call: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    (0..2).try_for_each(|_| call())?;
    let timed = |_| {
        let start = Instant::now();
        call()?;
        Ok(start.elapsed().as_secs_f64())
    };
    (0..runs).map(timed).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn work(runs: u32) -> Result<Rows> {
    const SIDE: usize = 1024;
    let operand = Tensor::ones((SIDE, SIDE), DType::F32, &Device::Cpu)?;
    let product = || seconds(runs, || no_grad(|| ops::linear(&operand, &operand, None)).map(drop));
    let mut rows = Rows::new();
    for name in [Name::Mlp8, Name::Cnn2, Name::Transformer3, Name::Mmoe3, Name::Gru2] {
        let mut stepper = Stepper::new(name, &Device::Cpu)?;
        let limit = 2e-9 * (SIDE as f64).powi(3) / median(&product()?);
        let rate = 1e-9 * name.flop_of_ew() / median(&seconds(runs, || stepper.step(StepMode::Ew))?);
        let metrics = [("GFLOP/s", vec![rate]), ("of a product", vec![limit]), ("share", vec![rate / limit])];
        rows.push((format!("{} ew", name.label()), Named::new(metrics)?));
    }
    Ok(rows)
}

fn growth(runs: u32) -> Result<Rows> {
    type Build = fn(Draw, usize) -> Result<Workload>;
    let mut rows = Rows::new();
    for (label, build) in [("mlp8", mlp8::with_tasks as Build), ("cnn2", cnn2::with_tasks as Build)] {
        for tasks in [2, 4, 8, 16, 32] {
            let stepper = Stepper::on(build(Draw::new(&Device::Cpu), tasks)?, Objectives::Tasks)?;
            rows.push((format!("{label}, {tasks} tasks"), growth_of(stepper, tasks, runs)?));
        }
    }
    Ok(rows)
}

/// Forward, backward and Jacobian in turn, so that other load meets all of them.
fn growth_of(mut stepper: Stepper, tasks: usize, runs: u32) -> Result<Named<Vec<f64>>> {
    let (losses, tape) = record(|| stepper.workload.losses())?;
    let Some(gradients) = stepper.gradients(StepMode::Jacobian)? else { return Ok(Named::default()) };
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..runs {
        times[0].extend(seconds(1, || stepper.gradients(StepMode::Forward).map(drop))?);
        times[1].extend(seconds(1, || stepper.trunk_backward(&losses, &tape))?);
        times[2].extend(seconds(1, || stepper.gradients(StepMode::Jacobian).map(drop))?);
        times[3].extend(seconds(1, || stepper.update(&gradients))?);
    }
    let expected = |i: usize| times[0][i] + tasks as f64 * times[1][i];
    times[4] = (0..runs as usize).map(|i| times[2][i] / expected(i)).collect();
    let names = ["forward ms", "backward ms", "jacobian ms", "update ms"];
    let columns = names.iter().zip(&times).map(|(name, times)| (*name, vec![1e3 * median(times)]));
    Named::new(columns.chain([("of forward + K × backward", vec![median(&times[4])])]))
}

fn threads(runs: u32) -> Result<Rows> {
    let pools = [pool(1)?, pool(2)?];
    let mut rows = Rows::new();
    for name in [Name::Mlp8, Name::Cnn2, Name::Transformer3, Name::Mmoe3, Name::Gru2] {
        let mut stepper = Stepper::new(name, &Device::Cpu)?;
        let [mut one, mut two] = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            one.extend(pools[0].install(|| seconds(1, || stepper.step(StepMode::Ew)))?);
            two.extend(pools[1].install(|| seconds(1, || stepper.step(StepMode::Ew)))?);
        }
        let (one, two) = (median(&one), median(&two));
        let metrics = [("1 thread ms", 1e3 * one), ("2 threads ms", 1e3 * two), ("times as fast", one / two)];
        rows.push((
            format!("{} ew", name.label()),
            Named::new(metrics.map(|(name, value)| (name, vec![value])))?,
        ));
    }
    Ok(rows)
}

fn memory(steps: u32) -> Result<Rows> {
    let mut rows = Rows::new();
    for name in [Name::Mlp8, Name::Cnn2, Name::Transformer3, Name::Mmoe3, Name::Gru2, Name::Iwrm64] {
        let mode = if name == Name::Iwrm64 { StepMode::Jacobian } else { StepMode::Ew };
        let mut stepper = Stepper::new(name, &Device::Cpu)?;
        let resident = || Memory::now().map_or(0.0, |memory| memory.resident_mib);
        let mut seen = Vec::new();
        for step in 1..=steps {
            stepper.step(mode)?;
            if step == steps / 10 || step == steps / 2 || step == steps {
                seen.push(resident());
            }
        }
        let metrics = ["MiB at 1/10", "MiB at 1/2", "MiB at the end"]
            .into_iter()
            .zip(seen.into_iter().map(|v| vec![v]));
        rows.push((format!("{}, {steps} steps", name.label()), Named::new(metrics)?));
    }
    Ok(rows)
}
