//! Digits with wrong labels: training on all of them against networks that choose for each other what to learn.
//!
//! Half of the labels are drawn anew (symmetric), or 45 % of them are those of the next digit (pair). Networks of every
//! method see the same images and labels in the same order. The rate of noise is taken to be known, as in the papers;
//! no clean label is used for training or for choosing anything. Needs the digits below `TASKWEAVE_DATA`.

mod digits;
mod image_job;
mod noisy_labels_job;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use digits::{
    Digits, Gated, Outcome, Ticks, accuracy, curve, ensemble, kept_epochs, mean, metrics, on_all_cores, write,
};
use noisy_labels_job::{BATCH, Job, Parts, Plan, learned, method, network};
use taskweave::cotrain::Unit;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::Teachings;
use taskweave::data::Corruption;
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Digits with wrong labels: training on all of them against networks that choose for each other what to learn
#[derive(Parser)]
struct Arguments {
    /// The papers' protocol: all 60 000 digits, 200 epochs, a wider network; takes hours
    #[arg(long)]
    full: bool,
    /// Number of seeds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Only the trainings of these names, as in the table; the gain of co-teaching is not judged then
    #[arg(long, value_delimiter = ';')]
    only: Vec<String>,
    /// Every method once more under a gate, which undoes epochs that look worse without seeing a right label
    #[arg(long)]
    gate: bool,
    /// Folder of the results
    #[arg(long, default_value = "runs/noisy_labels")]
    run: PathBuf,
}

const NOISES: [(&str, Corruption, f64); 2] =
    [("symmetric 50 %", Corruption::Symmetric, 0.5), ("pair 45 %", Corruption::Pair, 0.45)];
const METHODS: [&str; 4] = ["standard", "co-teaching", "co-teaching+", "JoCoR"];

fn main() -> ExitCode {
    image_job::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let Some(digits) = Digits::open()? else { return Ok(()) };
    let plan = match arguments.full {
        true => Plan { samples: 59_000, epochs: 200, width: 256, rate: 1e-3 },
        false => Plan { samples: 20_000, epochs: 20, width: 128, rate: 2e-3 },
    };
    let start = Instant::now();
    let mut jobs = Vec::new();
    let gates = Gated::each(arguments.gate);
    for noise in NOISES {
        for (method, gate) in METHODS.iter().flat_map(|method| gates.iter().map(move |gate| (method, gate))) {
            jobs.extend((0..arguments.seeds).map(|seed| Job { noise, method, gate: *gate, seed }));
        }
    }
    choose(&mut jobs, &arguments.only)?;
    let steps = plan.samples.div_ceil(BATCH) as u64 * plan.epochs;
    let ticks = Ticks::new(steps * jobs.len() as u64);
    let outcomes = on_all_cores(&jobs, |job| train(job, &plan, &digits, &ticks))?;
    ticks.finish();
    let lead = "Networks that learn from wrong labels learn the right ones first. Accuracy is that on 10 000 test digits after \
                the last epoch, the mean of both networks where there are two; precision is the share of right labels among \
                those that the method learns from in the end.";
    write(&arguments.run, ["Digits with wrong labels", lead], &outcomes, start)?;
    if !arguments.only.is_empty() {
        return Ok(());
    }
    let of = |method: &str| mean(&outcomes, &format!("pair 45 %, {method}"), "test accuracy %");
    let gain = of("co-teaching") - of("standard");
    println!("co-teaching against standard training at pair 45 %: {gain:+.1} points");
    match gain >= 20.0 {
        true => Ok(()),
        false => Err(Error::parameter("gain of co-teaching", "at least 20 points", gain)),
    }
}

/// Keeps the jobs of these names; all where there are none.
fn choose(jobs: &mut Vec<Job>, names: &[String]) -> Result<()> {
    let known: Vec<String> = jobs.iter().map(Job::name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Unknown { what: "training".into(), name: name.clone(), known });
    }
    jobs.retain(|job| names.is_empty() || names.contains(&job.name()));
    Ok(())
}

fn train(job: &Job, plan: &Plan, digits: &Digits, ticks: &Ticks) -> Result<Outcome> {
    let rng = Rng::new(job.seed);
    ticks.at(&job.name());
    let parts = Parts::new(digits, (job.noise.1, job.noise.2), plan, &rng)?;
    let method = method(job, plan)?;
    let ensemble = ensemble(&rng, method.clone().build().terms()?, |params| network(params, plan.width))?;
    let adam = OptimizerConfig::Adam(Adam { lr: plan.rate, ..Adam::default() });
    let mut step = ensemble.step().optimizer(adam).rng(&rng).build()?;
    let (labels, gate) = learned(job, &parts, &ensemble)?;
    let train = Parts::training(labels, &ensemble, &rng)?;
    let judge = |dataset: Arc<dyn Dataset>| {
        Loader::builder(dataset).batch_size(500).transform(ensemble.spread()).build()
    };
    let terms: Vec<String> =
        ensemble.terms().iter().filter(|(_, t)| t.members.len() == 1).map(|(name, _)| name.into()).collect();
    let steps = plan.epochs * train.batches() as u64;
    let trainer = Trainer::builder(train.clone())
        .epochs(plan.epochs)
        .valid(judge(parts.valid.clone())?, metrics(&terms)?)
        .teachings(Teachings::new(&ensemble).teach(method.clone().build())?)
        .rate(RateConfig::Cosine(Cosine::new(steps, 0.0)?).build()?, Unit::Step)
        .callback(ticks.clone());
    let trainer = match gate {
        Some(gate) => trainer.gate(gate),
        None => trainer,
    };
    let history = trainer.build()?.fit(&mut step)?;
    let mut teachings = Teachings::new(&ensemble).teach(method.build())?;
    let precision = parts.precision(&mut teachings, &train, step.done())?;
    let mut curve = curve(&history);
    curve.truncate(kept_epochs(&history));
    let metrics = Named::new([
        ("test accuracy %", accuracy(&step, &judge(digits.test.clone())?, &terms)?),
        ("validation accuracy %", curve.last().map_or(0.0, |(_, accuracy)| *accuracy)),
        ("precision %", precision),
        ("epochs", kept_epochs(&history) as f64),
        ("seconds", history.seconds()),
    ])?;
    let gate = history.gate_figure(&format!("{}: what the gate saw, first seed", job.name()));
    Ok(Outcome { method: job.name(), seed: job.seed, metrics, curve, gate })
}
