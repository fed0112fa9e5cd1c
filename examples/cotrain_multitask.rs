//! Two tasks, nine of ten labels of each missing at random: multi-task learning, co-training, and both.
//!
//! Handwritten digits in two views (UCI multiple features): which digit, and whether it is odd. Every method has a network per
//! view and is judged by their joint vote. Alone, each task has a pair of networks of its own; in multi-task learning the tasks
//! share the trunk of each network, and a label that is missing weighs nothing. Co-training adds, task by task, what both networks
//! say about samples without a label. Needs the files below `TASKWEAVE_DATA`, or `--root`.

mod digits;
mod image_job;
mod view_pair;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use digits::{Outcome, curve, mean, on_all_cores, write};
use taskweave::data::{MissingLabels, SelectTasks};
use taskweave::prelude::*;
use view_pair::{Pair, Parts, Way};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two tasks, nine of ten labels of each missing: multi-task learning, co-training, and both
#[derive(Parser)]
struct Arguments {
    /// Folder of the views' files (.gz or not) [default: mfeat in the folder that TASKWEAVE_DATA names]
    #[arg(long)]
    root: Option<PathBuf>,
    /// Folder of the results
    #[arg(long, default_value = "runs/cotrain_multitask")]
    run: PathBuf,
    /// Number of seeds, each with splits and missing labels of its own
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Three pairs of views, and 80, 90 and 95 % of the labels missing
    #[arg(long)]
    full: bool,
    /// Judge by validation samples, to choose parameters
    #[arg(long)]
    tune: bool,
}

const METHODS: [(&str, Way); 3] =
    [("supervised", Way::Supervised), ("mutual learning", Way::Mutual), ("deep co-training", Way::Deep)];
const TASKS: [(&str, usize); 2] = [("digit", 10), ("odd", 2)];
const VIEWS: [[&str; 2]; 3] = [["fac", "kar"], ["kar", "pix"], ["fou", "zer"]];

/// One row of the table under one seed.
struct Job {
    name: String,
    views: [&'static str; 2],
    missing: f64,
    way: Way,
    /// The tasks of each pair of networks.
    pairs: Vec<Vec<(&'static str, usize)>>,
    seed: u64,
}

fn main() -> ExitCode {
    image_job::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let wanted = ("the folder of the views", "mfeat");
    let Some(root) = image_job::files("cotrain_multitask", arguments.root.clone(), wanted) else {
        return Ok(());
    };
    let start = Instant::now();
    let mut jobs = Vec::new();
    for &views in if arguments.full { &VIEWS[..] } else { &VIEWS[..1] } {
        for &missing in if arguments.full { &[0.8, 0.9, 0.95][..] } else { &[0.9] } {
            let of = |seed| jobs_of(views, missing, (arguments.full, seed));
            let found: Vec<Vec<Job>> = (0..arguments.seeds).map(of).collect();
            jobs.extend(found.into_iter().flatten());
        }
    }
    let outcomes = on_all_cores(&jobs, |job| train(job, &root, arguments.tune))?;
    let lead = "Two views of handwritten digits, 1000 samples to learn from. Errors are those of the joint vote of both \
                networks on 800 test samples.";
    write(&arguments.run, ["Two tasks with few labels", lead], &outcomes, start)?;
    // Fewer seeds are a look, and no measurement.
    if arguments.full || arguments.tune || arguments.seeds < 10 { Ok(()) } else { check(&outcomes) }
}

fn jobs_of(views: [&'static str; 2], missing: f64, (full, seed): (bool, u64)) -> Vec<Job> {
    let setting = if full { format!("{}, {}, {missing}: ", views[0], views[1]) } else { String::new() };
    let mut jobs = Vec::new();
    for (what, pairs) in
        [("alone", TASKS.map(|task| vec![task]).to_vec()), ("multi-task", vec![TASKS.to_vec()])]
    {
        for (name, way) in METHODS {
            let (name, pairs) = (format!("{setting}{what}, {name}"), pairs.clone());
            jobs.push(Job { name, views, missing, way, pairs, seed });
        }
    }
    jobs
}

fn train(job: &Job, root: &Path, tune: bool) -> Result<Outcome> {
    let rng = Rng::new(job.seed);
    let parts = Parts::of_digits(root, job.views, &rng)?;
    let judge = if tune { &parts.valid } else { &parts.test };
    let known = MissingLabels::new(parts.train.clone(), job.missing, &rng)?;
    let (mut metrics, mut seconds, mut curves) = (Named::default(), 0.0, Vec::new());
    for tasks in &job.pairs {
        let names: Vec<&str> = tasks.iter().map(|(task, _)| *task).collect();
        let pair = Pair::new(job.views, Named::new(tasks.iter().copied())?, job.way);
        let train = Arc::new(SelectTasks::new(known.clone(), &names)?);
        let valid = Arc::new(SelectTasks::new(parts.valid.clone(), &names)?);
        let trained = pair.train(&rng, train, Some(valid))?;
        for task in names {
            metrics.insert(format!("{task}, error %"), trained.error(task, judge.clone())?)?;
        }
        seconds += trained.history.seconds();
        curves.push(curve(&trained.history));
    }
    metrics.insert("seconds", seconds)?;
    let at = |i: usize| curves.iter().map(|curve| curve[i].1).sum::<f64>() / curves.len() as f64;
    let curve = (0..curves[0].len()).map(|i| (curves[0][i].0, at(i))).collect();
    Ok(Outcome { method: job.name.clone(), seed: job.seed, metrics, curve, gate: None })
}

/// Fails where both together do not beat either task alone, or a method has learned little.
fn check(outcomes: &[Outcome]) -> Result<()> {
    for (task, share, most) in [("digit", 0.85, 15.0), ("odd", 1.0, 10.0)] {
        let of = |method: &str| mean(outcomes, method, &format!("{task}, error %"));
        let (alone, both) = (of("alone, supervised"), of("multi-task, deep co-training"));
        println!("{task}: both together {both:.2} % against {alone:.2} % of labels alone");
        let expected = |value, bound: f64| match value <= bound {
            true => Ok(()),
            false => Err(Error::parameter(format!("{task}, error %"), format!("at most {bound:.2}"), value)),
        };
        expected(both, share * alone)?;
        outcomes.iter().try_for_each(|outcome| expected(of(&outcome.method), most))?;
    }
    Ok(())
}
