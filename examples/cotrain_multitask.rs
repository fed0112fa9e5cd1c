//! Class and mask of drawn shapes with nine of ten labels missing: multi-task learning, co-training, and both.
//!
//! Each label of each task is hidden with probability 0.9, so that most images have no label at all. Networks learn a task
//! alone, both tasks jointly, one task as a pair that teaches each other on all images (cross pseudo supervision), or
//! both tasks as such a pair.

mod digits;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device};
use clap::Parser;
use digits::{Outcome, Ticks, on_all_cores, write};
use serde_json::json;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::{Lessons, TeachingConfig};
use taskweave::cotrain::{Ensemble, TaskScore, Unit};
use taskweave::data::{
    Cache, ColorJitter, Compose, Flip, MissingLabels, Noise, SelectTasks, Transform, Views,
};
use taskweave::loss::metric::{Classification, Segmentation};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Class and mask of drawn shapes with nine of ten labels missing
#[derive(Parser)]
struct Arguments {
    /// 6000 images, 60 epochs, 10 seeds
    #[arg(long)]
    full: bool,
    /// Number of seeds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Folder of the results
    #[arg(long, default_value = "runs/cotrain_multitask")]
    run: PathBuf,
}

struct Plan {
    samples: usize,
    epochs: u64,
}

/// A method: the tasks of each network, and how many networks teach each other.
struct Job {
    method: &'static str,
    networks: &'static [&'static [&'static str]],
    pair: Pair,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Pair {
    No,
    Yes,
}

const APART: &[&[&str]] = &[&["class"], &["mask"]];
const JOINT: &[&[&str]] = &[&["class", "mask"]];
const METHODS: [(&str, &[&[&str]], Pair); 4] = [
    ("single task", APART, Pair::No),
    ("multi-task", JOINT, Pair::No),
    ("co-training", APART, Pair::Yes),
    ("both", JOINT, Pair::Yes),
];

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
    let plan =
        if arguments.full { Plan { samples: 6000, epochs: 60 } } else { Plan { samples: 1000, epochs: 12 } };
    let seeds = arguments.seeds.unwrap_or(if arguments.full { 10 } else { 2 });
    let (start, mut jobs) = (Instant::now(), Vec::new());
    for (method, networks, pair) in METHODS {
        jobs.extend((0..seeds).map(|seed| Job { method, networks, pair, seed }));
    }
    let steps = |job: &Job| plan.samples.div_ceil(50) as u64 * plan.epochs * job.networks.len() as u64;
    let ticks = Ticks::new(jobs.iter().map(steps).sum());
    let outcomes = on_all_cores(&jobs, |job| train(job, &plan, &ticks))?;
    ticks.finish();
    let lead = "Nine of ten labels of each task are missing at random. Scores are those on 1000 other images after the last \
                epoch, of two networks the mean.";
    write(&arguments.run, ["Class and mask with few labels", lead], &outcomes, start)?;
    Ok(())
}

/// Trains the networks of a method one after the other, and judges them.
fn train(job: &Job, plan: &Plan, ticks: &Ticks) -> Result<Outcome> {
    ticks.at(job.method);
    let (mut metrics, mut seconds) = (Named::default(), 0.0);
    for tasks in job.networks {
        let (scores, took) = one(job, plan, tasks, ticks)?;
        seconds += took;
        for task in *tasks {
            let own: Vec<f64> = scores
                .iter()
                .filter(|(name, _)| name.starts_with(task))
                .map(|(_, s)| s.value())
                .collect::<Result<_>>()?;
            let name = if *task == "class" { "class accuracy %" } else { "mask mean IoU %" };
            metrics.insert(name, 100.0 * own.iter().sum::<f64>() / own.len() as f64)?;
        }
    }
    metrics.insert("seconds", seconds)?;
    Ok(Outcome { method: job.method.into(), seed: job.seed, metrics, curve: Vec::new() })
}

fn one(job: &Job, plan: &Plan, tasks: &[&str], ticks: &Ticks) -> Result<(Named<TaskScore>, f64)> {
    let rng = Rng::new(job.seed);
    let members: &[&str] = if job.pair == Pair::Yes { &["a", "b"] } else { &["a"] };
    let methods =
        tasks.iter().map(|task| method(task, members, job.pair, plan)).collect::<Result<Vec<_>>>()?;
    let (mut terms, params) = (Named::default(), Params::new(&rng, DType::F32, &Device::Cpu));
    for method in &methods {
        for (name, term) in method.clone().build().terms()? {
            terms.insert(name, term)?;
        }
    }
    let head = |task: &str| match task {
        "class" => HeadConfig::Classification { classes: 10 },
        _ => HeadConfig::Dense { classes: 2 },
    };
    let heads = Named::new(tasks.iter().map(|task| (*task, head(task))))?;
    let network = NetworkConfig { view: "image".into(), backbone: CnnConfig::new(3, &[8, 16, 32]), heads };
    let member = |name: &&str| -> Result<(String, Box<dyn Model>)> {
        Ok((name.to_string(), Box::new(network.build(&params.member(name))?)))
    };
    let ensemble =
        Ensemble::new(&params, Named::new(members.iter().map(member).collect::<Result<Vec<_>>>()?)?, terms)?;
    let mut step = ensemble
        .step()
        .optimizer(OptimizerConfig::Adam(Adam { lr: 3e-3, ..Adam::default() }))
        .rng(&rng)
        .build()?;
    let images = |len, seed| -> Result<Cache> {
        Cache::new(&SelectTasks::new(
            Shapes::new(ShapesConfig { len, seed, ..ShapesConfig::default() })?,
            tasks,
        )?)
    };
    let train = MissingLabels::new(images(plan.samples, 2 * job.seed)?, 0.9, &rng)?;
    let train = Loader::builder(Arc::new(train))
        .batch_size(50)
        .order(Order::Shuffled)
        .transform(Compose::new(vec![
            Box::new(Flip::new(0.5)?),
            Box::new(views()?),
            Box::new(ensemble.spread()),
        ]))
        .rng(rng.fork("loader"))
        .build()?;
    let lessons = methods
        .into_iter()
        .try_fold(Lessons::new(&ensemble), |lessons, method| lessons.teach(method.build()))?;
    let steps = plan.epochs * train.batches() as u64;
    let mut trainer = Trainer::builder(train)
        .epochs(plan.epochs)
        .rate(RateConfig::Cosine(Cosine::new(steps, 0.0)?).build()?, Unit::Step)
        .lessons(lessons)
        .callback(ticks.clone())
        .build()?;
    let seconds = trainer.fit(&mut step)?.seconds();
    let test = Arc::new(images(1000, 2 * job.seed + 1)?);
    let test = Loader::builder(test).batch_size(250).transform(ensemble.spread()).build()?;
    let mut metrics: Named<Box<dyn Metric>> = Named::default();
    for (task, name) in
        tasks.iter().flat_map(|task| members.iter().map(move |m| (task, format!("{task}@{m}"))))
    {
        match *task {
            "class" => metrics.insert(name, Box::new(Classification::new(10)?))?,
            _ => metrics.insert(name, Box::new(Segmentation::new(2)?))?,
        }
    }
    Ok((step.evaluate(&test, &mut metrics)?, seconds))
}

fn method(task: &str, members: &[&str], pair: Pair, plan: &Plan) -> Result<TeachingConfig> {
    let mut method = json!({ "task": task, "members": members, "criterion": { "name": "cross_entropy" } });
    method["name"] = json!(if pair == Pair::Yes { "cross_pseudo" } else { "supervised" });
    if pair == Pair::Yes {
        let steps = plan.samples.div_ceil(50) as u64 * plan.epochs / 2;
        (method["reads"], method["ramp"]) =
            (json!([["image", "changed"]]), json!({ "name": "gaussian", "steps": steps }));
    }
    serde_json::from_value(method).map_err(|e| Error::parameter("method", "a method", e))
}

/// The image as it is, and one with other colors and noise, to be taught on.
fn views() -> Result<Views> {
    let same: Box<dyn Transform> = Box::new(Compose::default());
    let changed = Compose::new(vec![Box::new(ColorJitter::new(0.3, 0.3, 0.3)?), Box::new(Noise::new(0.05)?)]);
    Views::new("image", Named::new([("image", same), ("changed", Box::new(changed))])?)
}
