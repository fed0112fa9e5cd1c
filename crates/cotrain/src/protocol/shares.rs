//! Task weights on the simplex, moved by projected steps.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::simplex_projection;

/// One weight ≥ 0 per task, of sum 1; empty before the first step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shares(Named<f64>);

impl Shares {
    /// The same, or equal weights at the first step.
    ///
    /// # Errors
    /// [`Error::State`] where they are of other tasks; `protocol` names whose they are.
    pub(super) fn of(&self, tasks: &[String], protocol: &str) -> Result<Self> {
        if self.0.is_empty() {
            let share = 1.0 / tasks.len().max(1) as f64;
            return Ok(Self(Named::new(tasks.iter().map(|task| (task.clone(), share)))?));
        }
        same_tasks(&self.0, tasks, protocol)?;
        Ok(self.clone())
    }

    pub(super) fn values(&self) -> &Named<f64> {
        &self.0
    }

    /// Only the weights of these tasks.
    pub(super) fn some(&self, tasks: &[String]) -> Result<Named<f64>> {
        let weight = |task: &String| Ok((task.clone(), *self.0.require("task", task)?));
        Named::new(tasks.iter().map(weight).collect::<Result<Vec<_>>>()?)
    }

    /// Π(w − slopes): the step of some tasks' weights, which keep their sum. The other tasks' weights stay.
    pub(super) fn stepped(&self, slopes: &Named<f64>) -> Result<Self> {
        let mut moved = Vec::new();
        let mut sum = 0.0;
        for (task, slope) in slopes.iter() {
            let weight = *self.0.require("task", task)?;
            sum += weight;
            moved.push(weight - slope);
        }
        if moved.is_empty() {
            return Ok(self.clone());
        }
        // Rounding of each step must not add up.
        let sum = if slopes.len() == self.0.len() { 1.0 } else { sum };
        let mut next = self.clone();
        for (task, weight) in slopes.names().zip(simplex_projection(&moved, sum)?) {
            *next.0.require_mut("task", task)? = weight;
        }
        Ok(next)
    }
}

/// Refuses saved values of other tasks than the model has.
pub(super) fn same_tasks<T>(saved: &Named<T>, tasks: &[String], protocol: &str) -> Result<()> {
    match saved.names().eq(tasks.iter().map(String::as_str)) {
        true => Ok(()),
        false => {
            let found = format!("{:?}", saved.names().collect::<Vec<_>>());
            Err(Error::state(protocol, format!("weights of the tasks {tasks:?}"), found))
        }
    }
}
