//! Digits with 40 labels: what a network learns from four labels per class, alone and with unlabeled digits.
//!
//! Networks of every method have the same form, see the same labels under the same weak augmentation and make as many
//! steps. Nothing is chosen by test digits. Needs the digits below `TASKWEAVE_DATA`.

mod digits;
mod few_labels_job;
mod image_job;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use digits::{
    Digits, Gated, Outcome, Ticks, accuracy, curve, ensemble, kept_epochs, mean, metrics, on_all_cores, write,
};
use few_labels_job::{Job, PER_CLASS, Plan, inputs, judged, learned, method, network};
use taskweave::cotrain::Unit;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::Teachings;
use taskweave::data::dataset::class_labels;
use taskweave::data::{SelectTasks, Subset};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Digits with 40 labels: what a network learns alone, and with unlabeled digits
#[derive(Parser)]
struct Arguments {
    /// All 59 000 unlabeled digits, a larger network, 20 000 steps; takes hours
    #[arg(long)]
    full: bool,
    /// Number of seeds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Every method once more under a gate, which undoes epochs that look worse by agreement and by labels left out
    #[arg(long)]
    gate: bool,
    /// Folder of the results
    #[arg(long, default_value = "runs/few_labels")]
    run: PathBuf,
}

const METHODS: [&str; 6] =
    ["supervised", "mutual learning", "deep co-training", "mean teacher", "FixMatch", "FreeMatch"];

fn main() -> ExitCode {
    image_job::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let Some(digits) = Digits::open()? else { return Ok(()) };
    let plan = match arguments.full {
        true => {
            Plan { unlabeled: 59_000, steps: 20_000, batch: 280, widths: [32, 64], decay: 0.999, full: true }
        }
        false => Plan { unlabeled: 6000, steps: 800, batch: 64, widths: [16, 32], decay: 0.99, full: false },
    };
    let start = Instant::now();
    let mut jobs = Vec::new();
    for method in METHODS {
        for gate in Gated::each(arguments.gate) {
            jobs.extend((0..arguments.seeds).map(|seed| Job { method, gate: *gate, seed }));
        }
    }
    let ticks = Ticks::new(plan.steps * jobs.len() as u64);
    let labels = class_labels(&*digits.train, "class")?;
    let outcomes = on_all_cores(&jobs, |job| train(job, &plan, (&digits, &labels), &ticks))?;
    ticks.finish();
    let lead = "Four labels per digit. Error is that on 10 000 test digits after the last step; of a method with two networks \
                the mean of both, of one that keeps a running mean of its network that of the mean.";
    write(&arguments.run, ["Digits with 40 labels", lead], &outcomes, start)?;
    let of = |method: &str| mean(&outcomes, method, "test error %");
    let (alone, best) = (of("supervised"), of("FixMatch").min(of("FreeMatch")));
    println!("FixMatch or FreeMatch {best:.2} % against {alone:.2} % of labels alone");
    match best <= 0.5 * alone {
        true => Ok(()),
        false => Err(Error::parameter(
            "test error",
            format!("at most half of {alone:.2} %"),
            format!("{best:.2} %"),
        )),
    }
}

fn train(job: &Job, plan: &Plan, (digits, labels): (&Digits, &[u32]), ticks: &Ticks) -> Result<Outcome> {
    let rng = Rng::new(job.seed);
    ticks.at(job.method);
    let (labeled, others, valid) = split(labels, plan, &rng);
    let method = method(job, plan)?;
    let ensemble = ensemble(&rng, method.clone().build().terms()?, |params| network(params, plan))?;
    let adam = OptimizerConfig::Adam(Adam { lr: 2e-3, ..Adam::default() });
    let mut step = ensemble.step().optimizer(adam).rng(&rng).build()?;
    let some = |chosen| Subset::new(digits.train.clone() as Arc<dyn Dataset>, chosen);
    let (known, others) = (some(labeled)?, some(others)?);
    let (known, gate) = learned(job, plan, &ensemble, [known, others.clone()])?;
    let known = inputs::labeled(known, plan, &ensemble).rng(rng.fork("labeled")).build()?;
    let unknown = SelectTasks::new(others, &[])?;
    let unknown = inputs::unlabeled(unknown, plan, job.method)?.rng(rng.fork("unlabeled")).build()?;
    let judged = judged(job.method);
    let valid = Arc::new(Subset::new(digits.train.clone(), valid)?);
    let trainer = Trainer::builder(unknown.clone())
        .epochs(plan.steps.div_ceil(unknown.batches() as u64))
        .rate(RateConfig::Cosine(Cosine::new(plan.steps, 0.0)?).build()?, Unit::Step)
        .valid(inputs::judging(valid, plan, &ensemble)?, metrics(&judged)?)
        .teachings(Teachings::new(&ensemble).teach(method.build())?.beside(known))
        .callback(ticks.clone());
    let trainer = match gate {
        Some(gate) => trainer.gate(gate),
        None => trainer,
    };
    let history = trainer.build()?.fit(&mut step)?;
    let test = inputs::judging(digits.test.clone(), plan, &ensemble)?;
    let error = 100.0 - accuracy(&step, &test, &judged)?;
    let metrics = Named::new([
        ("test error %", error),
        ("epochs", kept_epochs(&history) as f64),
        ("seconds", history.seconds()),
    ])?;
    let name = job.gate.name(job.method);
    let gate = history.gate_figure(&format!("{name}: what the gate saw, first seed"));
    Ok(Outcome { method: name, seed: job.seed, metrics, curve: curve(&history), gate })
}

/// Four labeled samples of each class, unlabeled ones, and a thousand to draw curves by.
fn split(labels: &[u32], plan: &Plan, rng: &Rng) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    rng.fork("split").shuffle(&mut order);
    let valid = order.split_off(order.len() - 1000);
    let of = |class: u32| order.iter().copied().filter(move |at| labels[*at] == class).take(PER_CLASS);
    let labeled = (0..10).flat_map(of).collect();
    order.truncate(plan.unlabeled);
    (labeled, order, valid)
}
