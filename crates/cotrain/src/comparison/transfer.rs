//! Which tasks lose by being learned together: negative transfer, task by task.
//!
//! The change of a task is that of its main metric against the single-task baseline of the same seed, in percent of the
//! baseline, positive where it is better. A task loses in a seed where its change is below 0.

use taskweave_kernels::{Named, Result};

use super::Comparison;
use super::outcomes::is_single;
use crate::report::{Stat, Table};

/// What learning together did to one task.
///
/// # Example
/// See [`Comparison::transfers`].
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// The method.
    pub method: String,
    /// The task.
    pub task: String,
    /// The change of its main metric in percent, by seed; positive where it is better than alone.
    pub changes: Vec<(u64, f64)>,
}

impl Transfer {
    /// In how many seeds the task is worse than alone.
    pub fn losses(&self) -> usize {
        self.changes.iter().filter(|(_, change)| *change < 0.0).count()
    }

    /// Mean and standard deviation of the change.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) without seeds,
    /// [`Error::NonFinite`](taskweave_kernels::Error::NonFinite) for a change that is not finite.
    pub fn change(&self) -> Result<Stat> {
        Stat::of(&self.changes.iter().map(|(_, change)| *change).collect::<Vec<_>>())
    }
}

impl Comparison {
    /// What learning together did to every task, by method and task, for the methods that learn more than one.
    ///
    /// # Errors
    /// As for [`Comparison::delta_m`].
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::{Comparison, History, Outcome, TaskScore};
    /// use taskweave_kernels::Named;
    /// use taskweave_loss::Direction;
    /// # let score = |value: f64| TaskScore {
    /// #     loss: 0.0,
    /// #     primary: "accuracy".into(),
    /// #     direction: Direction::Higher,
    /// #     metrics: Named::new([("accuracy", value)]).unwrap(),
    /// # };
    /// # let outcome = |method: &str, scores: &[(&str, f64)]| Outcome {
    /// #     method: method.into(),
    /// #     seed: 0,
    /// #     parameters: 10,
    /// #     scores: Named::new(scores.iter().map(|(task, value)| (*task, score(*value)))).unwrap(),
    /// #     history: History::default(),
    /// # };
    /// let mut comparison = Comparison::default();
    /// comparison.add(outcome("a alone", &[("a", 0.5)]));
    /// comparison.add(outcome("b alone", &[("b", 0.8)]));
    /// comparison.add(outcome("joint", &[("a", 0.6), ("b", 0.4)]));
    /// let transfers = comparison.transfers()?;
    /// assert_eq!((transfers[1].task.as_str(), transfers[1].losses()), ("b", 1));
    /// assert_eq!(transfers[1].change()?.mean, -50.0);
    /// assert!(comparison.transfer_table()?.unwrap().to_text().contains("joint, b"));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn transfers(&self) -> Result<Vec<Transfer>> {
        let mut found: Named<Transfer> = Named::default();
        for outcome in self.outcomes().iter().filter(|outcome| !is_single(outcome)) {
            for (task, metrics) in self.changes(outcome)?.iter() {
                let key = format!("{}, {task}", outcome.method);
                if !found.contains(&key) {
                    let (method, task) = (outcome.method.clone(), task.to_string());
                    found.insert(&key, Transfer { method, task, changes: Vec::new() })?;
                }
                let transfer = found.require_mut("method and task", &key)?;
                for (metric, change) in metrics.iter() {
                    let percent = 100.0 * change.improvement(&format!("{metric} of `{task}`"))?;
                    transfer.changes.push((outcome.seed, percent));
                }
            }
        }
        Ok(found.into_iter().map(|(_, transfer)| transfer).collect())
    }

    /// The same as a table: the change of every task, that of its worst seed, and in how many seeds it is worse than alone.
    /// Nothing where no method learns more than one task.
    ///
    /// # Errors
    /// As for [`Comparison::transfers`].
    pub fn transfer_table(&self) -> Result<Option<Table>> {
        let transfers = self.transfers()?;
        if transfers.is_empty() {
            return Ok(None);
        }
        let mut table = self.empty_table()?;
        for transfer in &transfers {
            let worst = transfer.changes.iter().map(|(_, change)| *change).fold(f64::INFINITY, f64::min);
            let count = |n: usize| Stat { mean: n as f64, std: 0.0, n: 1 };
            let cells = Named::new([
                ("change against alone, %", transfer.change()?),
                ("worst seed, %", Stat::of(&[worst])?),
                ("seeds that lose", count(transfer.losses())),
                ("of seeds", count(transfer.changes.len())),
            ])?;
            table.row(format!("{}, {}", transfer.method, transfer.task), cells)?;
        }
        Ok(Some(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{History, Outcome, TaskScore};
    use taskweave_kernels::Error;
    use taskweave_loss::Direction;

    fn outcome(method: &str, seed: u64, scores: &[(&str, f64)]) -> Outcome {
        let score = |value: f64| TaskScore {
            loss: 0.0,
            primary: "rmse".into(),
            direction: Direction::Lower,
            metrics: Named::new([("rmse", value)]).unwrap(),
        };
        Outcome {
            method: method.into(),
            seed,
            parameters: 1,
            scores: Named::new(scores.iter().map(|(task, value)| (*task, score(*value)))).unwrap(),
            history: History::default(),
        }
    }

    #[test]
    fn a_task_loses_in_the_seeds_in_which_it_is_worse_than_alone() {
        let mut comparison = Comparison::default();
        for (seed, a, b) in [(0, 3.0, 1.0), (1, 1.0, 1.5), (2, 2.5, 0.5)] {
            comparison.add(outcome("a alone", seed, &[("a", 2.0)]));
            comparison.add(outcome("b alone", seed, &[("b", 1.0)]));
            comparison.add(outcome("joint", seed, &[("a", a), ("b", b)]));
        }
        let transfers = comparison.transfers().unwrap();
        let facts: Vec<_> = transfers.iter().map(|t| (t.task.as_str(), t.losses())).collect();
        assert_eq!(facts, [("a", 2), ("b", 1)]);
        assert_eq!(transfers[0].changes, [(0, -50.0), (1, 50.0), (2, -25.0)]);
        let text = comparison.transfer_table().unwrap().unwrap().to_text();
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["joint,", "a", "-8.33", "±", "52.04", "-50", "2", "3"], "{text}");
        assert!(
            (comparison.delta_p("joint").unwrap()[0] + comparison.delta_m("joint").unwrap()[0]).abs() < 1e-12
        );
    }

    #[test]
    fn without_baselines_or_joint_methods_there_is_nothing_to_tell() {
        let mut comparison = Comparison::default();
        comparison.add(outcome("a alone", 0, &[("a", 2.0)]));
        assert!(comparison.transfer_table().unwrap().is_none());
        comparison.add(outcome("joint", 0, &[("a", 2.0), ("b", 1.0)]));
        assert!(matches!(comparison.transfers(), Err(Error::Unknown { .. })));
    }
}
