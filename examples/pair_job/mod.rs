//! Two digits on one image: what `multi_mnist` does.

mod method;
mod page;
mod samples;
mod train;

use std::path::Path;

use serde::{Deserialize, Serialize};
use taskweave::cotrain::Comparison;
use taskweave::cotrain::report::Table;
use taskweave::prelude::*;

use crate::image_job::{Earlier, remove};

pub use method::{EVERY, Method, SOME};
use samples::Samples;

/// Everything that the results depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobConfig {
    /// Pairs of digits to learn from, to look at while learning, and to be judged by.
    pub samples: [usize; 3],
    /// Channels of the two convolutions.
    pub widths: Vec<usize>,
    /// Values per sample that the heads see.
    pub hidden: usize,
    pub batch_size: usize,
    pub epochs: u64,
    pub rate: f64,
    pub weight_decay: f64,
    pub methods: Vec<String>,
    pub seeds: Vec<u64>,
}

impl JobConfig {
    fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::parameter("epochs", "at least 1", 0));
        }
        if self.seeds.is_empty() {
            return Err(Error::parameter("seeds", "at least one", 0));
        }
        Ok(())
    }

    /// The single-task networks and the methods.
    fn trainings(&self) -> Result<Vec<Method>> {
        let single = ["left", "right"].map(|task| Ok(Method::alone(task)));
        single.into_iter().chain(self.methods.iter().map(|text| Method::read(text))).collect()
    }
}

/// Trains all methods over all seeds, going on where an earlier run with the same configuration was, and writes the table, the
/// metrics and the report.
pub fn compare(job: &JobConfig, mnist: &Path, (folder, earlier): (&Path, Earlier)) -> Result<()> {
    job.check()?;
    let methods = job.trainings()?;
    let samples = Samples::load(job, mnist)?;
    if earlier == Earlier::Remove {
        remove::<JobConfig>(folder)?;
    }
    let run = Run::open(folder, job)?;
    let mut comparison = Comparison::default();
    for method in &methods {
        for &seed in &job.seeds {
            let checkpoints = run.checkpoints(&method.training(seed));
            let mut training = train::training(job, method, &samples, (Some(checkpoints), seed))?;
            comparison.add(training.run(&method.name, seed)?);
            comparison.write_metrics(&run)?;
        }
    }
    let table = comparison.table()?;
    table.write_summary(run.path("summary.json"))?;
    page::write(&run, job, &samples, &comparison)?;
    println!("{}", table.to_text());
    println!("Report: {}", run.path("report.html").display());
    Ok(())
}

/// The factors of the learning rate that [`tune`] looks at.
const FACTORS: [f64; 5] = [0.1, 0.3, 1.0, 3.0, 10.0];

/// Prints the accuracies on the validation images of the baselines at several learning rates. Test images are not looked at.
pub fn tune(job: &JobConfig, mnist: &Path) -> Result<()> {
    job.check()?;
    let samples = Samples::load(job, mnist)?;
    let mut methods = vec![Method::alone("left"), Method::alone("right"), Method::read("losses sum")?];
    let mut table = Table::new(0.0, &job.seeds)?;
    for method in &mut methods {
        for factor in FACTORS {
            let job = JobConfig { rate: job.rate * factor, ..job.clone() };
            let mut found: Named<Vec<f64>> = Named::default();
            for &seed in &job.seeds {
                let mut training = train::training(&job, method, &samples, (None, seed))?;
                let history = training.trainer.fit(&mut training.step)?;
                for (task, score) in history.epochs.last().iter().flat_map(|epoch| epoch.valid.iter()) {
                    match found.get_mut(task) {
                        Some(values) => values.push(score.value()?),
                        None => found.insert(task, vec![score.value()?])?,
                    }
                }
            }
            table.samples(format!("{}, rate {}", method.name, job.rate), &found)?;
        }
    }
    print!("validation accuracies\n{}", table.to_text());
    Ok(())
}
