//! Digits with wrong labels: training on all of them against networks that choose for each other what to learn.
//!
//! Half of the labels are drawn anew (symmetric), or 45 % of them are those of the next digit (pair). Networks of every
//! method see the same images and labels in the same order. The rate of noise is taken to be known, as in the papers;
//! no clean label is used for training or for choosing anything. Needs the digits below `TASKWEAVE_DATA`.

mod digits;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use clap::Parser;
use digits::{Digits, Outcome, Ticks, accuracy, curve, mean, metrics, on_all_cores, write};
use serde_json::json;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::{Lessons, TeachingConfig};
use taskweave::cotrain::{Ensemble, Term, Unit};
use taskweave::data::{Corruption, LabelNoise, Subset};
use taskweave::heads::{Classification, Linear};
use taskweave::kernels::ops::Activation;
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
    /// Folder of the results
    #[arg(long, default_value = "runs/noisy_labels")]
    run: PathBuf,
}

/// Sizes of a run.
struct Plan {
    samples: usize,
    epochs: u64,
    width: usize,
    rate: f64,
}

const NOISES: [(&str, Corruption, f64); 2] =
    [("symmetric 50 %", Corruption::Symmetric, 0.5), ("pair 45 %", Corruption::Pair, 0.45)];
const BATCH: usize = 128;
const METHODS: [&str; 4] = ["standard", "co-teaching", "co-teaching+", "JoCoR"];

struct Job {
    noise: (&'static str, Corruption, f64),
    method: &'static str,
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
    let Some(digits) = Digits::open()? else { return Ok(()) };
    let plan = match arguments.full {
        true => Plan { samples: 59_000, epochs: 200, width: 256, rate: 1e-3 },
        false => Plan { samples: 20_000, epochs: 20, width: 128, rate: 2e-3 },
    };
    let start = Instant::now();
    let mut jobs = Vec::new();
    for noise in NOISES {
        for method in METHODS {
            jobs.extend((0..arguments.seeds).map(|seed| Job { noise, method, seed }));
        }
    }
    let steps = plan.samples.div_ceil(BATCH) as u64 * plan.epochs;
    let ticks = Ticks::new(steps * jobs.len() as u64);
    let outcomes = on_all_cores(&jobs, |job| train(job, &plan, &digits, &ticks))?;
    ticks.finish();
    let lead = "Networks that learn from wrong labels learn the right ones first. Accuracy is that on 10 000 test digits after \
                the last epoch, the mean of both networks where there are two; precision is the share of right labels among \
                those that the method learns from in the end.";
    write(&arguments.run, ["Digits with wrong labels", lead], &outcomes, start)?;
    let of = |method: &str| mean(&outcomes, &format!("pair 45 %, {method}"), "test accuracy %");
    let gain = of("co-teaching") - of("standard");
    println!("co-teaching against standard training at pair 45 %: {gain:+.1} points");
    match gain >= 20.0 {
        true => Ok(()),
        false => Err(Error::parameter("gain of co-teaching", "at least 20 points", gain)),
    }
}

fn train(job: &Job, plan: &Plan, digits: &Digits, ticks: &Ticks) -> Result<Outcome> {
    let rng = Rng::new(job.seed);
    ticks.at(&format!("{}, {}", job.noise.0, job.method));
    let mut order: Vec<usize> = (0..digits.train.len()).collect();
    rng.fork("split").shuffle(&mut order);
    let valid = order.split_off(order.len() - 1000);
    order.truncate(plan.samples);
    let clean = Subset::new(digits.train.clone(), order)?;
    let noisy = Arc::new(LabelNoise::new(clean.clone(), "class", job.noise.1, job.noise.2, &rng)?);

    let method = method(job, plan)?;
    let ensemble = ensemble(&rng, plan.width, method.clone().build().terms()?)?;
    let mut step = ensemble
        .step()
        .optimizer(OptimizerConfig::Adam(Adam { lr: plan.rate, ..Adam::default() }))
        .rng(&rng)
        .build()?;
    let train = Loader::builder(noisy.clone())
        .batch_size(BATCH)
        .order(Order::Shuffled)
        .transform(ensemble.spread())
        .rng(rng.fork("loader"))
        .build()?;
    let judge = |dataset: Arc<dyn Dataset>| {
        Loader::builder(dataset).batch_size(500).transform(ensemble.spread()).build()
    };
    let terms: Vec<String> =
        ensemble.terms().iter().filter(|(_, t)| t.members.len() == 1).map(|(name, _)| name.into()).collect();
    let mut trainer = Trainer::builder(train.clone())
        .epochs(plan.epochs)
        .valid(judge(Arc::new(Subset::new(digits.train.clone(), valid)?))?, metrics(&terms)?)
        .lessons(Lessons::new(&ensemble).teach(method.clone().build())?)
        .rate(
            RateConfig::Cosine(Cosine::new(plan.epochs * train.batches() as u64, 0.0)?).build()?,
            Unit::Step,
        )
        .callback(ticks.clone())
        .build()?;
    let history = trainer.fit(&mut step)?;
    let precision = precision(
        &mut Lessons::new(&ensemble).teach(method.build())?,
        &train,
        (&clean, &*noisy, step.done()),
    )?;
    let test = accuracy(&step, &judge(digits.test.clone())?, &terms)?;
    let curve = curve(&history);
    let valid = curve.last().map_or(0.0, |(_, accuracy)| *accuracy);
    let metrics = [
        ("test accuracy %", test),
        ("validation accuracy %", valid),
        ("precision %", precision),
        ("seconds", history.seconds()),
    ];
    Ok(Outcome {
        method: format!("{}, {}", job.noise.0, job.method),
        seed: job.seed,
        metrics: Named::new(metrics)?,
        curve,
    })
}

fn method(job: &Job, plan: &Plan) -> Result<TeachingConfig> {
    let per_epoch = plan.samples.div_ceil(BATCH) as u64;
    // The share falls over the first 10 of 200 epochs in the papers.
    let small_loss = json!({ "forget": job.noise.2, "steps": (per_epoch * plan.epochs / 20).max(per_epoch) });
    let mut method =
        json!({ "task": "class", "members": ["a", "b"], "criterion": { "name": "cross_entropy" } });
    match job.method {
        "standard" => (method["name"], method["members"]) = (json!("supervised"), json!(["a"])),
        "co-teaching" => method["name"] = json!("co_teaching"),
        "co-teaching+" => method["name"] = json!("co_teaching_plus"),
        _ => (method["name"], method["lambda"]) = (json!("jocor"), json!(0.9)),
    }
    if job.method != "standard" {
        method["small_loss"] = small_loss;
    }
    serde_json::from_value(method).map_err(|e| Error::parameter("method", "a method", e))
}

/// Two layers; a network of its own for each member that the terms name.
fn ensemble(rng: &Rng, width: usize, terms: Named<Term>) -> Result<Ensemble> {
    let params = Params::new(rng, DType::F32, &Device::Cpu);
    let mut members: Named<Box<dyn Model>> = Named::default();
    for name in terms.values().flat_map(|term| &term.members) {
        if members.contains(name) {
            continue;
        }
        let own = params.member(name);
        let hidden = Linear::new(&own.shared().pp("hidden"), 28 * 28, width)?.then(Activation::Relu);
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(|x: &Tensor| x.flatten_from(1)), Box::new(hidden)];
        let trunk = Backbone::new(stages, Features::Vector { width });
        let head = Classification::new(&own.task("class"), trunk.features(), 10)?;
        let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
        members.insert(
            name.clone(),
            Box::new(Network::new(Box::new(HardSharing::new("image", trunk)), heads)),
        )?;
    }
    Ensemble::new(&params, members, terms)
}

/// The share of right labels among those that are learned from after the last step, in percent.
fn precision<D: Dataset>(
    lessons: &mut Lessons,
    train: &Loader,
    (clean, noisy, step): (&D, &dyn Dataset, u64),
) -> Result<f64> {
    let (mut right, mut total) = (0.0, 0.0);
    for batch in train.epoch(0) {
        let batch = lessons.prepare(batch?, step, 0)?;
        let class = |dataset: &dyn Dataset, index: usize| -> Result<u32> {
            Ok(dataset.get(index)?.targets.require("task", "class")?.value().to_scalar()?)
        };
        let Some(target) = batch.targets.get("class@a") else { continue };
        for (index, weight) in
            batch.indices.iter().zip(target.weight().to_dtype(DType::F64)?.to_vec1::<f64>()?)
        {
            let counts = f64::from(u8::from(weight > 0.0));
            total += counts;
            right += if class(clean, *index)? == class(noisy, *index)? { counts } else { 0.0 };
        }
    }
    Ok(100.0 * right / f64::max(total, 1.0))
}
