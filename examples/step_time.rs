//! The time of one training step of several workloads, as one line of JSON.
//!
//! Flags and keys are those of the yardstick that it is compared with. A step is: forward, losses, backward, Adam.

mod step_workloads;

use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use clap::{Parser, ValueEnum};
use step_workloads::{Name, Workload};
use taskweave::kernels::autograd::{Gradient, Tape, no_grad, record};
use taskweave::kernels::optim::Optimizer;
use taskweave::kernels::{Owner, Param};
use taskweave::loss::weighting::{UpGrad, Weighting};
use taskweave::loss::{Gramian, sample_gramian};
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
enum StepMode {
    /// Losses only
    Forward,
    /// One backward pass of the sum of all losses
    Ew,
    /// One gradient per task, or per sample, aggregated by UPGrad
    Jacobian,
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
    let mut trainer = Stepper::new(arguments, &device)?;
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
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map(|v| v.get_name().to_string()).unwrap_or_default()
    };
    Ok(serde_json::json!({
        "workload": name(&|| arguments.workload.to_possible_value()),
        "mode": name(&|| arguments.mode.to_possible_value()),
        "threads": arguments.threads,
        "median_ms": times[times.len() / 2],
        "min_ms": times[0],
        "peak_rss_mb": peak_rss_mb(),
        "params": trainer.workload.params.count(),
    }))
}

struct Stepper {
    workload: Workload,
    optimizer: Optimizer,
    all: Named<Param>,
    shared: Named<Param>,
    own: Named<Param>,
    per_sample: bool,
}

impl Stepper {
    fn new(arguments: &Arguments, device: &Device) -> Result<Self> {
        let workload = arguments.workload.build(device)?;
        let optimizer = Optimizer::new(OptimizerConfig::Adam(Adam::default()), workload.params.named())?;
        let trained = |which: &dyn Fn(&Param) -> bool| {
            let params = workload.params.named().into_iter();
            Named::new(params.filter(|(_, param)| param.kind.is_trained() && which(param)))
        };
        Ok(Self {
            all: trained(&|_| true)?,
            shared: trained(&|param| param.owner == Owner::Shared)?,
            own: trained(&|param| param.owner != Owner::Shared)?,
            per_sample: arguments.workload == Name::Iwrm64,
            workload,
            optimizer,
        })
    }

    fn step(&mut self, mode: StepMode) -> Result<()> {
        let gradients = match mode {
            StepMode::Forward => {
                no_grad(|| self.workload.losses())?;
                return Ok(());
            }
            StepMode::Ew => {
                let (losses, tape) = record(|| self.workload.losses())?;
                gradients_of(&tape, &losses.values().map(|loss| (loss, None)).collect::<Vec<_>>(), &self.all)?
            }
            StepMode::Jacobian if self.per_sample => self.sample_wise()?,
            StepMode::Jacobian => self.task_wise()?,
        };
        self.optimizer.step(&gradients)
    }

    /// One gradient per task for what they share; each task's own gradient for its head.
    fn task_wise(&self) -> Result<Named<Gradient>> {
        let (losses, tape) = record(|| self.workload.losses())?;
        let tasks: Vec<&Tensor> = losses.values().collect();
        let shared: Vec<&Tensor> = self.shared.values().map(|param| param.var.as_tensor()).collect();
        let gradients = tape.task_gradients(&tasks, &shared)?;
        let products = gradients.products().chunks(tasks.len()).collect::<Vec<_>>();
        let weights = UpGrad.weights(&Gramian::new(losses.names(), &products)?)?;
        let mut sums = gradients.weighted_sum(&weights)?;
        let shared = self.shared.iter().filter_map(|(name, param)| Some((name, sums.remove(&param.var)?)));
        let seeds: Vec<_> = tasks.into_iter().map(|loss| (loss, None)).collect();
        let own = gradients_of(&tape, &seeds, &self.own)?;
        Named::new(shared.collect::<Vec<_>>().into_iter().map(|(n, g)| (n.to_string(), g)).chain(own))
    }

    /// One gradient per sample, of which only the inner products are formed.
    fn sample_wise(&self) -> Result<Named<Gradient>> {
        let (losses, tape) = record(|| self.workload.sample_losses())?;
        let weights = UpGrad.weights(&sample_gramian(&tape, &losses, &self.all)?)?;
        let weights: Vec<f32> = weights.into_iter().map(|w| w as f32).collect();
        let weights = Tensor::new(weights, losses.device())?;
        gradients_of(&tape, &[(&losses, Some(weights))], &self.all)
    }
}

fn gradients_of(
    tape: &Tape,
    seeds: &[(&Tensor, Option<Tensor>)],
    params: &Named<Param>,
) -> Result<Named<Gradient>> {
    let targets: Vec<&Tensor> = params.values().map(|param| param.var.as_tensor()).collect();
    let mut found = tape.backward(seeds, &targets)?;
    let reached = params.iter().filter_map(|(name, param)| Some((name, found.remove(&param.var)?)));
    Named::new(reached.collect::<Vec<_>>())
}

/// The largest resident memory so far in MiB, where the system tells it.
fn peak_rss_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
