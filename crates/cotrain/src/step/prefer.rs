//! Which trade-off a step is after.

use taskweave_kernels::{Named, Result};

use super::Step;

impl Step {
    /// Sets the preference that the objective is after, one number per task: of the method that balances gradients where
    /// there is one, else of the scalarizer. It is part of the configuration, not of what a checkpoint holds.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a method that takes none, or a number that it does not
    /// take, [`Error::Unknown`](taskweave_kernels::Error::Unknown) for a task that is missing or that the model does not
    /// have.
    pub fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        let tasks = Named::new(self.tasks.iter().map(|task| (task.clone(), ())))?;
        preference.names().try_for_each(|task| tasks.require("task", task).map(drop))?;
        let preference = tasks.try_map(|task, _| preference.require("task", task).copied())?;
        self.balance.prefer(&preference)
    }
}
