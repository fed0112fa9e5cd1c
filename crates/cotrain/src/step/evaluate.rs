//! Losses and metrics over a loader.

use candle_core::DType;
use serde::{Deserialize, Serialize};
use taskweave_data::Loader;
use taskweave_heads::Mode;
use taskweave_kernels::autograd;
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::{Direction, Metric};

use super::Step;

/// How well a task is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// The mean loss over all samples.
    pub loss: f64,
    /// The name of the main metric.
    pub primary: String,
    /// Which way the main metric is better.
    pub direction: Direction,
    /// All metrics.
    pub metrics: Named<f64>,
}

impl TaskScore {
    /// The value of the main metric.
    ///
    /// # Errors
    /// [`Error::Unknown`] where it is not among the metrics.
    pub fn value(&self) -> Result<f64> {
        self.metrics.require("metric", &self.primary).copied()
    }
}

impl Step {
    /// The losses and metrics of every task over one epoch of a loader, in evaluation mode: nothing changes. A
    /// task without a metric, or without a label in the whole epoch, is left out.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Unknown`] for a metric of a task that the model does not have.
    pub fn evaluate(
        &self,
        loader: &Loader,
        metrics: &mut Named<Box<dyn Metric>>,
    ) -> Result<Named<TaskScore>> {
        metrics.names().try_for_each(|task| self.criteria.require("task", task).map(|_| ()))?;
        metrics.values_mut().for_each(|metric| metric.reset());
        let mut sums = metrics.map(|_, _| (0.0, 0.0));
        for batch in loader.epoch(0) {
            let batch = batch?.to_device(self.params.device())?;
            let tasks: Vec<String> =
                self.present(&batch)?.into_iter().filter(|task| metrics.contains(task)).collect();
            let pass = autograd::no_grad(|| self.pass(&batch, &tasks, Mode::Eval, None))
                .map_err(|error| error.at(self.done))?;
            let weights = self.weights(std::slice::from_ref(&batch), &tasks)?;
            for (task, prediction) in pass.predictions.iter() {
                let target = batch.targets.require("task", task)?;
                let weight = weights.require("task", task)?;
                let loss = pass.losses.require("task", task)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                let (sum, total) = sums.require_mut("task", task)?;
                (*sum, *total) = (*sum + weight * loss, *total + weight);
                metrics.require_mut("task", task)?.update(prediction, target)?;
            }
        }
        scores(&sums, metrics)
    }
}

fn scores(sums: &Named<(f64, f64)>, metrics: &Named<Box<dyn Metric>>) -> Result<Named<TaskScore>> {
    let mut scores = Named::default();
    for ((task, metric), (sum, total)) in metrics.iter().zip(sums.values()).filter(|(_, (_, n))| *n > 0.0) {
        let score = TaskScore {
            loss: sum / total,
            primary: metric.primary().into(),
            direction: metric.direction(),
            metrics: metric.values()?,
        };
        if let Some((name, _)) = score.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::non_finite(format!("metric {name}"), task));
        }
        scores.insert(task, score)?;
    }
    match scores.is_empty() {
        true => Err(Error::parameter("evaluation", "at least one task with labels and a metric", 0)),
        false => Ok(scores),
    }
}
