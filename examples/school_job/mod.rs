//! 139 schools: what `school` does.

mod network;
mod pupils;
mod ridge;
mod train;

use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use taskweave::cotrain::report::Table;
use taskweave::data::School;
use taskweave::prelude::*;

use pupils::Parts;

/// The balancing method of the network: every pupil counts alike, so that the loss of a school weighs as its number of pupils.
pub const SIZE: &str = "network, schools weighed by size";

/// How the schools are balanced: the name of a row, and a configuration of a scalarizer or an aggregator.
pub type Balance = (&'static str, &'static str);

/// The one of the table.
pub const SOME: &[Balance] = &[(SIZE, "")];

/// Others beside it.
pub const EVERY: &[Balance] = &[
    (SIZE, ""),
    ("network, schools weighed alike", r#"{"name": "sum"}"#),
    ("network, uncertainty", r#"{"name": "uncertainty"}"#),
    ("network, famo", r#"{"name": "famo"}"#),
    ("network, upgrad", r#"{"name": "upgrad"}"#),
    ("network, nash_mtl", r#"{"name": "nash_mtl"}"#),
];

/// How strongly the schools' own weights are shrunk: what a squared weight costs, in squared errors.
const SHRINKAGES: [f64; 4] = [10.0, 20.0, 40.0, 80.0];

/// Everything that the results depend on.
pub struct Job {
    pub seeds: Vec<u64>,
    pub epochs: u64,
    pub rate: f64,
    pub hidden: usize,
    pub balances: &'static [Balance],
}

impl Job {
    fn check(&self) -> Result<()> {
        match (self.epochs, self.seeds.len(), self.hidden) {
            (0, ..) => Err(Error::parameter("epochs", "at least 1", 0)),
            (_, 0, _) => Err(Error::parameter("seeds", "at least one", 0)),
            (.., 0) => Err(Error::parameter("hidden", "at least 1", 0)),
            _ => Ok(()),
        }
    }
}

/// A network that is trained: its balancing method and its shrinkage.
#[derive(Clone, Copy)]
pub struct Setting {
    pub balance: &'static str,
    pub shrinkage: f64,
}

/// R² and seconds by method, one per seed.
pub type Rows = Named<Named<Vec<f64>>>;

/// R² on the test pupils for every method and seed. What a method has to be told is chosen by a quarter of the training pupils,
/// seed by seed.
pub fn compare(job: &Job, root: &Path) -> Result<Rows> {
    job.check()?;
    let school = School::open(root)?;
    let mut rows = Rows::default();
    let bar = ProgressBar::new((job.seeds.len() * job.balances.len() * (SHRINKAGES.len() + 1)) as u64);
    for &seed in &job.seeds {
        let (outer, inner) = Parts::of(&school, seed)?;
        for kind in ridge::KINDS {
            add(&mut rows, kind.name(), Instant::now(), ridge::chosen(kind, &outer, &inner)?)?;
        }
        for (name, balance) in job.balances {
            let start = Instant::now();
            let mut best: Option<(f64, Setting)> = None;
            for shrinkage in SHRINKAGES {
                let setting = Setting { balance, shrinkage };
                let found = train::r2(job, setting, (&inner, seed))?;
                best = best.filter(|(r2, _)| *r2 >= found).or(Some((found, setting)));
                bar.inc(1);
            }
            let (_, setting) = best.ok_or_else(|| Error::parameter("shrinkages", "at least one", 0))?;
            add(&mut rows, name, start, train::r2(job, setting, (&outer, seed))?)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// The table of the rows.
pub fn table(job: &Job, rows: &Rows) -> Result<Table> {
    let seconds = rows.values().filter_map(|row| row.get("seconds")).flatten().sum();
    let mut table = Table::new(seconds, &job.seeds)?;
    rows.iter().try_for_each(|(name, row)| table.samples(name, row))?;
    Ok(table)
}

/// The mean R² of a method.
pub fn mean(rows: &Rows, method: &str) -> Result<f64> {
    let values = rows.require("method", method)?.require("column", "R²")?;
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}

/// Prints R² on the validation pupils for each shrinkage. Test pupils are not looked at.
pub fn tune(job: &Job, root: &Path) -> Result<()> {
    job.check()?;
    let school = School::open(root)?;
    let inner = job.seeds.iter().map(|&seed| Ok(Parts::of(&school, seed)?.1)).collect::<Result<Vec<_>>>()?;
    let mut table = Table::new(0.0, &job.seeds)?;
    let mut row =
        |name: String, found: Vec<f64>| table.samples(name, &Named::new([("R² on validation", found)])?);
    for kind in ridge::KINDS {
        let found = inner.iter().map(|parts| Ok(ridge::best(kind, parts)?.0)).collect::<Result<_>>()?;
        row(kind.name().into(), found)?;
    }
    for (name, balance) in job.balances {
        for shrinkage in SHRINKAGES {
            let setting = Setting { balance, shrinkage };
            let one = |(parts, &seed)| train::r2(job, setting, (parts, seed));
            let found = inner.iter().zip(&job.seeds).map(one).collect::<Result<_>>()?;
            row(format!("{name}, shrinkage {shrinkage}"), found)?;
        }
    }
    print!("{}", table.to_text());
    Ok(())
}

fn add(rows: &mut Rows, name: &str, start: Instant, r2: f64) -> Result<()> {
    if !rows.contains(name) {
        rows.insert(name, Named::new([("R²", vec![]), ("seconds", vec![])])?)?;
    }
    let row = rows.require_mut("method", name)?;
    row.require_mut("column", "R²")?.push(r2);
    row.require_mut("column", "seconds")?.push(start.elapsed().as_secs_f64());
    Ok(())
}
