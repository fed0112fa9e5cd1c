//! When to stop, and which parameters to keep.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::Direction;

use super::EpochRecord;

/// The number that says how good an epoch was, from its validation; lower is better.
///
/// # Example
/// ```
/// use taskweave_cotrain::Monitor;
/// let monitor: Monitor = serde_json::from_str(r#"{"name": "task", "task": "class"}"#).unwrap();
/// assert_eq!(monitor, Monitor::Task { task: "class".into() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Monitor {
    /// The sum of the tasks' losses.
    Loss,
    /// The main metric of a task, its sign turned where higher is better.
    Task {
        /// The task.
        task: String,
    },
}

impl Monitor {
    /// The number of an epoch.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task without a validation score, [`Error::Parameter`] for no validation at all.
    pub fn of(&self, record: &EpochRecord) -> Result<f64> {
        if record.valid.is_empty() {
            return Err(Error::parameter("monitor", "validation samples", "none"));
        }
        match self {
            Self::Loss => Ok(record.valid.values().map(|score| score.loss).sum()),
            Self::Task { task } => {
                let score = record.valid.require("task", task)?;
                Ok(match score.direction {
                    Direction::Higher => -score.value()?,
                    Direction::Lower => score.value()?,
                })
            }
        }
    }
}

/// Stops a training that no longer gets better, and brings the best parameters back at its end.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `patience` | – | ≥ 1 | epochs without improvement after which to stop |
/// | `min_delta` | 0 | ≥ 0 | what counts as an improvement has to be larger |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement after which to stop.
    pub patience: u64,
    /// What counts as an improvement has to be larger.
    #[serde(default)]
    pub min_delta: f64,
}

impl EarlyStopping {
    pub(super) fn check(&self) -> Result<()> {
        if self.patience == 0 {
            return Err(Error::parameter("patience of early stopping", "at least 1", 0));
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(Error::parameter(
                "min_delta of early stopping",
                "a finite number ≥ 0",
                self.min_delta,
            ));
        }
        Ok(())
    }
}

/// The best epoch so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Best {
    value: Option<f64>,
    waited: u64,
    #[serde(skip)]
    pub(super) tensors: Named<Tensor>,
}

impl Best {
    /// Takes an epoch in; `keep` copies the parameters where it is the best so far.
    pub(super) fn take(
        &mut self,
        rule: EarlyStopping,
        value: f64,
        keep: impl FnOnce() -> Result<Named<Tensor>>,
    ) -> Result<()> {
        if self.value.is_none_or(|best| value < best - rule.min_delta) {
            *self = Self { value: Some(value), waited: 0, tensors: keep()? };
        } else {
            self.waited += 1;
        }
        Ok(())
    }

    pub(super) fn is_over(&self, rule: EarlyStopping) -> bool {
        self.waited >= rule.patience
    }
}
