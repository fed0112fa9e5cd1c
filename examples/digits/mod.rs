//! What the examples on handwritten digits share: the files, how many trainings run at a time, the results.

// Each example uses its part of it.
#![allow(dead_code)]

mod gate;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taskweave::cotrain::report::{Figure, Report, Table};
use taskweave::cotrain::{Callback, Ensemble, History, StepReport, Term};
use taskweave::data::{Mnist, Part, Sample, Transform};
use taskweave::loss::metric::Classification;
use taskweave::prelude::*;

#[allow(unused_imports, reason = "each example uses its part")]
pub use gate::{Gated, gated, kept_epochs};

/// The digits, split once for all seeds: what is learned from comes first.
pub struct Digits {
    pub train: Arc<Mnist>,
    pub test: Arc<Mnist>,
}

impl Digits {
    /// Reads the files below the folder that `TASKWEAVE_DATA` names; without it, says so and gives nothing.
    pub fn open() -> Result<Option<Self>> {
        let Some(folder) = std::env::var_os("TASKWEAVE_DATA") else {
            println!("skipped: TASKWEAVE_DATA does not name a folder with mnist/");
            return Ok(None);
        };
        let folder = PathBuf::from(folder).join("mnist");
        let open = |part| Ok::<_, Error>(Arc::new(Mnist::open(&folder, part)?));
        Ok(Some(Self { train: open(Part::Train)?, test: open(Part::Test)? }))
    }
}

/// Halves the sides of every image: the mean of 2 × 2 pixels.
pub struct Halve;

impl Transform for Halve {
    fn apply(&self, mut sample: Sample, _: &mut Rng) -> Result<Sample> {
        for input in sample.inputs.values_mut() {
            let (channels, height, width) = input.dims3()?;
            let values = input.flatten_all()?.to_vec1::<f32>()?;
            let mut half = Vec::with_capacity(values.len() / 4);
            for plane in values.chunks(height * width) {
                for (y, x) in (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (2 * y, 2 * x))) {
                    let at = |dy, dx| plane[(y + dy) * width + x + dx];
                    half.push(0.25 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)));
                }
            }
            *input = Tensor::from_vec(half, (channels, height / 2, width / 2), input.device())?;
        }
        Ok(sample)
    }
}

/// One bar for all trainings of an example.
#[derive(Clone)]
pub struct Ticks(ProgressBar);

impl Ticks {
    pub fn new(steps: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:40} {pos:>6}/{len} steps  {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub fn at(&self, what: &str) {
        self.0.set_message(what.to_string());
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Callback for Ticks {
    fn on_step(&mut self, _: &StepReport) -> Result<()> {
        self.0.inc(1);
        Ok(())
    }
}

/// Runs jobs on all cores, one per core at a time; the results come in the order of the jobs.
pub fn on_all_cores<J: Sync, R: Send>(jobs: &[J], run: impl Fn(&J) -> Result<R> + Sync) -> Result<Vec<R>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { break };
            let result = run(job);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores.min(jobs.len())).for_each(|_| drop(scope.spawn(work))));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A network of its own for each member that the terms name; the running mean of another is frozen.
pub fn ensemble(
    rng: &Rng,
    terms: Named<Term>,
    network: impl Fn(&Params) -> Result<Network>,
) -> Result<Ensemble> {
    let params = Params::new(rng, DType::F32, &Device::Cpu);
    let mut members: Named<Box<dyn Model>> = Named::default();
    for name in terms.values().flat_map(|term| &term.members) {
        if !members.contains(name) {
            let own = params.member(name);
            let own = if name == "mean" { own.frozen() } else { own };
            members.insert(name.clone(), Box::new(network(&own)?))?;
        }
    }
    Ensemble::new(&params, members, terms)
}

/// How a training came out.
pub struct Outcome {
    pub method: String,
    pub seed: u64,
    pub metrics: Named<f64>,
    /// The accuracy on validation samples, epoch by epoch.
    pub curve: Vec<(f64, f64)>,
    /// What the gate saw, where there was one.
    pub gate: Option<Figure>,
}

/// The accuracy of some terms over a loader, in percent, their mean.
pub fn accuracy(step: &Step, loader: &Loader, terms: &[String]) -> Result<f64> {
    let scores = step.evaluate(loader, &mut metrics(terms)?)?;
    let values = scores.values().map(|score| score.value()).collect::<Result<Vec<_>>>()?;
    Ok(100.0 * values.iter().sum::<f64>() / values.len() as f64)
}

pub fn metrics(terms: &[String]) -> Result<Named<Box<dyn Metric>>> {
    let metric = |term: &String| -> Result<(String, Box<dyn Metric>)> {
        Ok((term.clone(), Box::new(Classification::new(10)?)))
    };
    Named::new(terms.iter().map(metric).collect::<Result<Vec<_>>>()?)
}

/// The mean accuracy of the validated terms, epoch by epoch.
pub fn curve(history: &History) -> Vec<(f64, f64)> {
    let mean = |values: Vec<f64>| 100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64;
    let point = |(at, epoch): (usize, &taskweave::cotrain::EpochRecord)| {
        (at as f64 + 1.0, mean(epoch.valid.values().filter_map(|score| score.value().ok()).collect()))
    };
    history.epochs.iter().enumerate().map(point).collect()
}

/// Prints the table, and writes `summary.json` and `report.html` into a folder.
pub fn write(folder: &Path, [title, lead]: [&str; 2], outcomes: &[Outcome], start: Instant) -> Result<Table> {
    let mut seeds: Vec<u64> = outcomes.iter().map(|outcome| outcome.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut table = Table::new(start.elapsed().as_secs_f64(), &seeds)?;
    let mut rows: Named<Named<Vec<f64>>> = Named::default();
    let mut figure = Figure::new("Accuracy on validation samples, first seed").axes("epoch", "%");
    let mut gates = Vec::new();
    for outcome in outcomes {
        if !rows.contains(&outcome.method) {
            rows.insert(&*outcome.method, outcome.metrics.map(|_, _| Vec::new()))?;
            gates.extend(outcome.gate.clone());
            figure = figure.series(&*outcome.method, outcome.curve.iter().copied());
        }
        let row = rows.require_mut("method", &outcome.method)?;
        for (metric, value) in outcome.metrics.iter() {
            row.require_mut("metric", metric)?.push(*value);
        }
    }
    rows.iter().try_for_each(|(method, metrics)| table.samples(method, metrics))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    let page = Report::new(title).lead(lead).table(&table).curves(figure);
    gates.into_iter().fold(page, Report::curves).write(folder.join("report.html"))?;
    print!("{}", table.to_text());
    Ok(table)
}

/// The mean of a metric of a method over the seeds.
pub fn mean(outcomes: &[Outcome], method: &str, metric: &str) -> f64 {
    let of = outcomes.iter().filter(|outcome| outcome.method == method);
    let values: Vec<f64> = of.filter_map(|outcome| outcome.metrics.get(metric).copied()).collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
