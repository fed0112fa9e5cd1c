//! Class and mask of images: what `quickstart`, `image_multitask` and `predict` share, and the parts of it that
//! other examples use.
#![allow(dead_code, reason = "each example uses its part")]

mod config;
pub mod page;
mod predictor;
pub mod source;
mod train;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use taskweave::cotrain::Comparison;
use taskweave::prelude::*;

pub use config::{JobConfig, Method, Source};
pub use predictor::Predictor;
pub use source::Samples;

/// What `config.json` of a run holds: the job, and what was found in its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    pub job: JobConfig,
    pub classes: Vec<String>,
    /// Channels, height, width.
    pub size: [usize; 3],
}

/// Trains all methods over all seeds, going on where an earlier run with the same configuration was, and writes
/// the table, the metrics, the report and some images to try `predict` on.
pub fn compare(job: &JobConfig, root: &Path, earlier: Earlier) -> Result<()> {
    job.check()?;
    let samples = Samples::load(job)?;
    let saved = Saved { job: job.clone(), classes: samples.classes.clone(), size: samples.size };
    if earlier == Earlier::Remove {
        remove::<Saved>(root)?;
    }
    let run = Run::open(root, &saved)?;
    let mut comparison = Comparison::default();
    for method in job.methods() {
        for &seed in &job.seeds {
            let mut training = train::training(job, &method, &samples, (&run, seed))?;
            comparison.add(training.run(method.name, seed)?);
            comparison.write_metrics(&run)?;
        }
    }
    let predictor = Predictor::load(run.root(), "joint", job.seeds[0])?;
    page::write_images(&run, &samples)?;
    let table = comparison.table()?;
    table.write_summary(run.path("summary.json"))?;
    page::write(&run, &saved, &samples, (&comparison, &predictor))?;
    println!("{}", table.to_text());
    println!("Report: {}", run.path("report.html").display());
    Ok(())
}

/// The folder of an example's files: the one given, or `name` in the folder that `TASKWEAVE_DATA` names. Without either it
/// says what is missing, and the example ends.
pub fn files(example: &str, given: Option<PathBuf>, (what, name): (&str, &str)) -> Option<PathBuf> {
    let found = given.or_else(|| Some(PathBuf::from(std::env::var_os("TASKWEAVE_DATA")?).join(name)));
    if found.is_none() {
        println!("skipped: {example} needs {what}, by --root or as {name} in that of TASKWEAVE_DATA");
    }
    found
}

/// Prints an error as a person reads it, and makes the exit code of it.
pub fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if matches!(&error, Error::State { what, .. } if what.starts_with("run folder")) {
                eprintln!("help: choose another folder with --run, or remove the earlier run with --fresh");
            }
            ExitCode::FAILURE
        }
    }
}

/// Removes what an earlier run of these examples, whose configuration is a `T`, has written into a folder, and nothing else.
pub fn remove<T: DeserializeOwned>(root: &Path) -> Result<()> {
    if !root.join("config.json").exists() {
        return Ok(());
    }
    Run::config::<T>(root)?;
    for name in ["checkpoints", "gradients", "images", "masks"] {
        let folder = root.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        }
    }
    for name in ["report.html", "summary.json", "metrics.jsonl", "config.json"] {
        let file = root.join(name);
        if file.exists() {
            std::fs::remove_file(&file).map_err(|e| Error::io(&file, e))?;
        }
    }
    Ok(())
}

/// Whether an earlier run in the folder is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    Resume,
    Remove,
}

impl Earlier {
    pub fn of(fresh: bool) -> Self {
        if fresh { Self::Remove } else { Self::Resume }
    }
}
