//! Co-training with few labels: who gains from unlabeled samples, and who loses.
//!
//! Supervised learning, self-training, EM, co-EM, co-training (alone, as a vote over several draws of its window, and with
//! a gate), tri-training, and two networks by themselves and in deep co-training, side by side on the same splits. Prints the
//! test errors and in how many splits a method was worse than its own start, the same learners with the given labels alone;
//! writes `summary.json` and `report.html` into the folder of the run.
//!
//! Nothing here is chosen by test labels: what was tried, and by which evidence it was chosen, is in `docs/results.md`.

mod co_training_job;
mod image_job;
mod view_pair;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget};
use rayon::prelude::*;
use taskweave::prelude::*;

use co_training_job::{Approach, Classical, Outcome, Problem, page, problems};

/// Co-training with few labels
#[derive(Parser)]
struct Arguments {
    /// Which data
    #[arg(long, value_enum, default_value_t = Source::TwoMoonsViews)]
    data: Source,
    /// The folder of the data, where they are not generated
    #[arg(long)]
    root: Option<PathBuf>,
    /// Splits into labeled, unlabeled and test samples [default: 30 for webkb, else 20]
    #[arg(long)]
    splits: Option<u64>,
    /// The folder of the run
    #[arg(long, default_value = "runs/co_training")]
    run: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Source {
    /// Generated: two moons, drawn twice
    TwoMoonsViews,
    /// WebKB course pages: words of the page, words of links to it
    Webkb,
    /// Handwritten digits in several ways
    Mfeat,
}

fn main() -> ExitCode {
    image_job::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let root = || {
        arguments.root.as_deref().ok_or_else(|| Error::parameter("--root", "the folder of the data", "none"))
    };
    let problems = match arguments.data {
        Source::TwoMoonsViews => vec![problems::two_moons()?],
        Source::Webkb => vec![problems::webkb(root()?)?],
        Source::Mfeat => problems::mfeat(root()?)?,
    };
    let splits = arguments.splits.unwrap_or(if arguments.data == Source::Webkb { 30 } else { 20 });
    if splits == 0 {
        return Err(Error::parameter("splits", "at least 1", 0));
    }
    std::fs::create_dir_all(&arguments.run).map_err(|e| Error::io(&arguments.run, e))?;
    let trainings = problems.len() as u64 * splits * Approach::ALL.len() as u64;
    let bar = ProgressBar::with_draw_target(Some(trainings), ProgressDrawTarget::stderr());
    let mut found = Vec::new();
    for problem in &problems {
        found.push((problem, outcomes(problem, splits, &bar)?));
    }
    bar.finish_and_clear();
    let table = page::table(&found, start.elapsed().as_secs_f64())?;
    table.write_summary(arguments.run.join("summary.json"))?;
    page::write(&found, &table, &arguments.run.join("report.html"))?;
    print!("{}", table.to_text());
    found.iter().try_for_each(|(problem, outcomes)| check(problem, outcomes))
}

/// By split, then by approach.
fn outcomes(problem: &Problem, splits: u64, bar: &ProgressBar) -> Result<Vec<Vec<Outcome>>> {
    let of = |split: u64| {
        let outcome = |approach: &Approach| approach.outcome(problem, split).inspect(|_| bar.inc(1));
        Approach::ALL.iter().map(outcome).collect()
    };
    (0..splits).into_par_iter().map(of).collect()
}

/// Fails where co-training has lost, or stays behind what the problem demands.
fn check(problem: &Problem, outcomes: &[Vec<Outcome>]) -> Result<()> {
    let errors = |classical| page::errors(outcomes, Approach::Rounds(classical));
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    let (supervised, ours) = (errors(Classical::Supervised), errors(Classical::CoTrainingVote));
    let worse = ours.iter().zip(&supervised).filter(|(ours, start)| ours > start).count();
    // Fewer splits are a look, and no measurement.
    if outcomes.len() < 20 {
        return Ok(());
    }
    let bound = problem.bound.min(mean(&supervised));
    if mean(&ours) > bound {
        let name = format!("{}: mean test error of co-training in %", problem.name);
        return Err(Error::parameter(name, format!("at most {bound:.2}"), format!("{:.2}", mean(&ours))));
    }
    if problem.rarely_worse && worse > 1 {
        let name = format!("{}: splits in which co-training is worse than supervised", problem.name);
        return Err(Error::parameter(name, "at most one", worse));
    }
    Ok(())
}
