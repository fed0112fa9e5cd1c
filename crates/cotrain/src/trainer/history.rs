//! What happened, epoch by epoch.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};

use crate::gate::{self, Decision};
use crate::report::Figure;
use crate::{StepReport, TaskScore};

/// What happened, epoch by epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The epochs in order.
    pub epochs: Vec<EpochRecord>,
    /// The epoch that the gate went back to, where worse ones followed.
    #[serde(default)]
    pub returned_to: Option<u64>,
}

/// What happened in one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The number of the epoch, from 0.
    pub epoch: u64,
    /// Steps done when it ended.
    pub steps: u64,
    /// The learning rate at its end.
    pub rate: f64,
    /// The mean training loss of each task, by step.
    pub train: Named<f64>,
    /// The mean weight of each task, by step.
    pub weights: Named<f64>,
    /// The mean 2-norm of the gradients, by step.
    pub gradient_norm: f64,
    /// The cosine between the gradients of each pair of tasks of one batch, by task and task, where it was asked
    /// for.
    pub cosines: Option<Named<Named<f64>>>,
    /// How well each task is done on the validation samples, where there are any.
    pub valid: Named<TaskScore>,
    /// What the gate decided, where there is one.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// The time of its steps, without validation.
    pub seconds: f64,
}

impl History {
    /// The time of all steps.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }

    /// What the gate saw, epoch by epoch; nothing without a gate.
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::History;
    /// assert!(History::default().gate_figure("What the gate saw").is_none());
    /// ```
    pub fn gate_figure(&self, title: &str) -> Option<Figure> {
        gate::figure(
            title,
            "epoch",
            self.epochs.iter().filter_map(|epoch| Some((epoch.epoch, epoch.decision.as_ref()?))),
        )
    }
}

/// Sums over the steps of an epoch that is under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    steps: u64,
    losses: Named<(f64, u64)>,
    weights: Named<(f64, u64)>,
    gradient_norm: f64,
    pub(super) seconds: f64,
}

impl Sums {
    pub(super) fn add(&mut self, report: &StepReport, seconds: f64) -> Result<()> {
        self.seconds += seconds;
        if report.losses.is_empty() {
            return Ok(());
        }
        self.steps += 1;
        self.gradient_norm += report.gradient_norm;
        for (sums, values) in [(&mut self.losses, &report.losses), (&mut self.weights, &report.weights)] {
            for (task, value) in values.iter() {
                if !sums.contains(task) {
                    sums.insert(task, (0.0, 0))?;
                }
                let (sum, n) = sums.require_mut("task", task)?;
                (*sum, *n) = (*sum + value, *n + 1);
            }
        }
        Ok(())
    }

    pub(super) fn losses(&self) -> Named<f64> {
        means(&self.losses)
    }

    /// The record of an epoch that has ended.
    pub(super) fn record(&self, epoch: u64, steps: u64, rate: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            steps,
            rate,
            train: self.losses(),
            weights: means(&self.weights),
            gradient_norm: self.gradient_norm / self.steps.max(1) as f64,
            cosines: None,
            valid: Named::default(),
            decision: None,
            seconds: self.seconds,
        }
    }
}

fn means(sums: &Named<(f64, u64)>) -> Named<f64> {
    sums.map(|_, (sum, n)| sum / (*n).max(1) as f64)
}
