//! Class and mask of images: what `quickstart`, `image_multitask` and `predict` share.
#![allow(dead_code, reason = "each example uses its part")]

mod config;
mod page;
mod predictor;
mod source;
mod train;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use serde::{Deserialize, Serialize};
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
pub fn compare(job: &JobConfig, root: &Path) -> Result<()> {
    let start = Instant::now();
    let samples = Samples::load(job)?;
    let saved = Saved { job: job.clone(), classes: samples.classes.clone(), size: samples.size };
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
    let table = comparison.table(start.elapsed().as_secs_f64())?;
    table.write_summary(run.path("summary.json"))?;
    page::write(&run, &saved, &samples, (&comparison, &predictor))?;
    println!("{}", table.to_text());
    println!("Report: {}", run.path("report.html").display());
    Ok(())
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

/// Removes an earlier run, if there is one; a folder that is no run is left alone.
pub fn remove(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    Run::config::<serde_json::Value>(root)?;
    std::fs::remove_dir_all(root).map_err(|e| Error::io(root, e))
}
