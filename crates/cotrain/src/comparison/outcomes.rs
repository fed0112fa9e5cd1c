//! How several trainings over several seeds came out, and their table.

use serde::Serialize;
use taskweave_data::Loader;
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::{Change, Metric, delta_m, delta_p};

use crate::report::Table;
use crate::{EpochRecord, History, Run, Step, TaskScore, Trainer};

/// One training of a comparison: what to train, how, and the samples it is judged by.
pub struct Training {
    /// The model and its objective.
    pub step: Step,
    /// The loop.
    pub trainer: Trainer,
    /// The samples that the result is judged by.
    pub test: Loader,
    /// The metric of each task.
    pub metrics: Named<Box<dyn Metric>>,
}

/// How a training came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The method.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// How many numbers were trained.
    pub parameters: usize,
    /// How well each task is done on the test samples.
    pub scores: Named<TaskScore>,
    /// What happened, epoch by epoch.
    pub history: History,
}

impl Training {
    /// Trains, then judges once.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`] and [`Step::evaluate`].
    pub fn run(&mut self, method: &str, seed: u64) -> Result<Outcome> {
        let history = self.trainer.fit(&mut self.step)?;
        let scores = self.step.evaluate(&self.test, &mut self.metrics)?;
        let parameters = self.step.params().count();
        Ok(Outcome { method: method.into(), seed, parameters, scores, history })
    }
}

/// Outcomes of several methods over several seeds.
///
/// A method that trains exactly one task is the single-task baseline of that task. Δm of a method is taken seed by
/// seed, over the main metrics of its tasks, against the baselines of the same seed.
///
/// # Example
/// ```
/// use taskweave_cotrain::{Comparison, History, Outcome, TaskScore};
/// use taskweave_kernels::Named;
/// use taskweave_loss::Direction;
/// let score = |value: f64| TaskScore {
///     loss: 0.0,
///     primary: "accuracy".into(),
///     direction: Direction::Higher,
///     metrics: Named::new([("accuracy", value)]).unwrap(),
/// };
/// let outcome = |method: &str, scores: &[(&str, f64)]| Outcome {
///     method: method.into(),
///     seed: 0,
///     parameters: 10,
///     scores: Named::new(scores.iter().map(|(task, value)| (*task, score(*value)))).unwrap(),
///     history: History::default(),
/// };
/// let mut comparison = Comparison::default();
/// comparison.add(outcome("a alone", &[("a", 0.5)]));
/// comparison.add(outcome("b alone", &[("b", 0.8)]));
/// comparison.add(outcome("joint", &[("a", 0.6), ("b", 0.8)]));
/// assert!((comparison.delta_m("joint")?[0] + 10.0).abs() < 1e-9); // −½ (20 % + 0 %)
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    outcomes: Vec<Outcome>,
}

impl Comparison {
    /// Takes an outcome in.
    pub fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// The outcomes in order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Δm of a method against the single-task baselines, in percent, one per seed; lower is better.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a method without outcomes, or for a task without a baseline of the same seed.
    pub fn delta_m(&self, method: &str) -> Result<Vec<f64>> {
        self.of(method)?.into_iter().map(|outcome| delta_m(&self.changes(outcome)?)).collect()
    }

    /// Δp of a method against the single-task baselines, in percent, one per seed; higher is better.
    ///
    /// # Errors
    /// As for [`Comparison::delta_m`].
    pub fn delta_p(&self, method: &str) -> Result<Vec<f64>> {
        self.of(method)?.into_iter().map(|outcome| delta_p(&self.changes(outcome)?)).collect()
    }

    /// The table: per method the parameters, the seconds of its steps, the main metric of each task, and Δm and Δp for
    /// those that learn more than one.
    ///
    /// # Errors
    /// As for [`Comparison::delta_m`], and [`Error::NonFinite`] for a metric that is not finite.
    pub fn table(&self) -> Result<Table> {
        let mut table = self.empty_table()?;
        let mut methods: Vec<&str> = Vec::new();
        for outcome in &self.outcomes {
            if !methods.contains(&outcome.method.as_str()) {
                methods.push(&outcome.method);
            }
        }
        for method in &methods {
            let outcomes = self.of(method)?;
            let delta = match is_single(outcomes[0]) {
                true => None,
                false => Some([self.delta_m(method)?, self.delta_p(method)?]),
            };
            table.samples(*method, &cells(&outcomes, delta)?)?;
        }
        Ok(table)
    }

    /// Writes `metrics.jsonl` (one line per method, seed and epoch) into a run's folder.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn write_metrics(&self, run: &Run) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            method: &'a str,
            seed: u64,
            #[serde(flatten)]
            epoch: &'a EpochRecord,
        }
        let mut text = String::new();
        for outcome in &self.outcomes {
            for epoch in &outcome.history.epochs {
                let line = Line { method: &outcome.method, seed: outcome.seed, epoch };
                let line =
                    serde_json::to_string(&line).map_err(|e| Error::state("an epoch", "JSON values", e))?;
                text.push_str(&line);
                text.push('\n');
            }
        }
        run.write("metrics.jsonl", text.as_bytes())
    }

    /// A table without rows, with the seconds and the seeds of all outcomes.
    pub(super) fn empty_table(&self) -> Result<Table> {
        let seconds = self.outcomes.iter().map(|outcome| outcome.history.seconds()).sum();
        let mut seeds: Vec<u64> = self.outcomes.iter().map(|outcome| outcome.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        Table::new(seconds, &seeds)
    }

    fn of(&self, method: &str) -> Result<Vec<&Outcome>> {
        let outcomes: Vec<_> = self.outcomes.iter().filter(|outcome| outcome.method == method).collect();
        match outcomes.is_empty() {
            true => Err(self.unknown("method", method)),
            false => Ok(outcomes),
        }
    }

    /// The main metric of every task beside that of the baseline of the same seed.
    pub(super) fn changes(&self, outcome: &Outcome) -> Result<Named<Named<Change>>> {
        outcome.scores.try_map(|task, score| {
            let baseline = self
                .outcomes
                .iter()
                .find(|other| is_single(other) && other.seed == outcome.seed && other.scores.contains(task))
                .ok_or_else(|| self.unknown("single-task baseline of task", task))?;
            let single = baseline.scores.require("task", task)?.value()?;
            let change = Change { multi: score.value()?, single, direction: score.direction };
            Named::new([(score.primary.clone(), change)])
        })
    }

    fn unknown(&self, what: &str, name: &str) -> Error {
        let known = self.outcomes.iter().map(|outcome| outcome.method.clone()).collect();
        Error::Unknown { what: what.into(), name: name.into(), known }
    }
}

pub(super) fn is_single(outcome: &Outcome) -> bool {
    outcome.scores.len() == 1
}

/// The measurements of one method, by column.
fn cells(outcomes: &[&Outcome], delta: Option<[Vec<f64>; 2]>) -> Result<Named<Vec<f64>>> {
    let mut cells = Named::new([
        ("parameters", vec![outcomes[0].parameters as f64]),
        ("seconds", outcomes.iter().map(|outcome| outcome.history.seconds()).collect()),
    ])?;
    for (task, score) in outcomes[0].scores.iter() {
        let values = outcomes.iter().map(|outcome| outcome.scores.require("task", task)?.value());
        cells.insert(format!("{task} {}", score.primary), values.collect::<Result<Vec<_>>>()?)?;
    }
    if let Some([delta_m, delta_p]) = delta {
        cells.insert("Δm %", delta_m)?;
        cells.insert("Δp %", delta_p)?;
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use taskweave_loss::Direction;

    use super::*;

    fn outcome(method: &str, seed: u64, scores: &[(&str, f64)]) -> Outcome {
        let score = |value: f64| TaskScore {
            loss: 0.0,
            primary: "rmse".into(),
            direction: Direction::Lower,
            metrics: Named::new([("rmse", value)]).unwrap(),
        };
        let scores = Named::new(scores.iter().map(|(task, value)| (*task, score(*value)))).unwrap();
        Outcome { method: method.into(), seed, parameters: 1, scores, history: History::default() }
    }

    /// By hand: 25, 0 and −12.5 % worse, mean 4.1667, deviation √(729.17 / 2).
    #[test]
    fn each_seed_is_compared_with_single_tasks_of_its_own_and_the_table_has_the_spread() {
        let mut comparison = Comparison::default();
        for (seed, unit, a, b) in [(0, 1.0, 3.0, 1.0), (1, 10.0, 1.0, 1.5), (2, 0.1, 2.5, 0.5)] {
            comparison.add(outcome("a alone", seed, &[("a", 2.0 * unit)]));
            comparison.add(outcome("b alone", seed, &[("b", unit)]));
            comparison.add(outcome("joint", seed, &[("a", a * unit), ("b", b * unit)]));
        }
        for (found, expected) in comparison.delta_m("joint").unwrap().iter().zip([25.0, 0.0, -12.5]) {
            assert!((found - expected).abs() < 1e-9, "{found}");
        }
        let text = comparison.table().unwrap().to_text();
        let joint = text.lines().find(|line| line.starts_with("joint")).unwrap();
        assert!(joint.contains("4.2 ± 19.1") || joint.contains("4.17 ± 19.09"), "{text}");
        comparison.add(outcome("joint", 3, &[("a", 1.0), ("b", 1.0)]));
        assert!(matches!(comparison.delta_m("joint"), Err(Error::Unknown { .. })));
    }
}
