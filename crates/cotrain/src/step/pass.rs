//! From inputs to losses, with every check on the way.

use candle_core::{DType, Tensor};
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::{Error, Named, Owner, Result, Rng, Target, ops};
use taskweave_loss::weighted_mean;

use super::Step;
use super::seam::{Cuts, Seam};

/// What the forward pass of one batch gives.
pub(super) struct Pass {
    /// The prediction of each task.
    pub(super) predictions: Named<Tensor>,
    /// The mean loss of each task, a scalar.
    pub(super) losses: Named<Tensor>,
    /// What those are the means of.
    pub(super) samples: Named<PerSample>,
    /// The features, where the seam is cut.
    pub(super) cuts: Cuts,
}

/// A task's losses with their weights, both `[batch]`.
pub(super) struct PerSample {
    pub(super) losses: Tensor,
    pub(super) weight: Tensor,
}

impl Step {
    /// Predicts `tasks` and forms their losses; a held trunk is cut off at the seam, so that no gradient is
    /// computed for it.
    pub(super) fn pass(
        &self,
        batch: &Batch,
        tasks: &[String],
        mode: Mode<'_>,
        held: Option<&Owner>,
    ) -> Result<Pass> {
        let seam = if held == Some(&Owner::Shared) { Seam::Held } else { Seam::Open };
        self.pass_at(batch, tasks, mode, seam)
    }

    /// The same with a choice of what becomes of the features.
    pub(super) fn pass_at(
        &self,
        batch: &Batch,
        tasks: &[String],
        mode: Mode<'_>,
        seam: Seam,
    ) -> Result<Pass> {
        require_finite("input", &batch.inputs)?;
        let mut features = self.model.share_for(tasks, &batch.inputs, mode)?;
        let (mut wanted, mut cuts) = (Named::default(), Cuts::default());
        for task in tasks {
            let found = features.names().map(String::from).collect::<Vec<_>>();
            let feature = features.remove(task).ok_or_else(|| unknown("features of task", task, &found))?;
            let feature = match seam {
                Seam::Open => feature,
                Seam::Held => feature.detach(),
                Seam::Cut => cuts.copy_of(&feature)?,
            };
            wanted.insert(task.clone(), feature)?;
        }
        let predictions = self.model.heads(&wanted, mode)?;
        if !predictions.names().eq(wanted.names()) {
            let found = format!("{:?}", predictions.names().collect::<Vec<_>>());
            return Err(Error::parameter(
                "predictions of the model",
                format!("those of the tasks {tasks:?}"),
                found,
            ));
        }
        let samples = predictions.try_map(|task, prediction| self.samples(task, prediction, batch))?;
        let losses = samples.try_map(mean)?;
        Ok(Pass { predictions, losses, samples, cuts })
    }

    /// The tasks of the model that the batch has labels for, in the order of the model.
    pub(super) fn present(&self, batch: &Batch) -> Result<Vec<String>> {
        if let Some(task) = batch.targets.names().find(|&task| !self.criteria.contains(task)) {
            return Err(unknown("task", task, &self.tasks));
        }
        let labeled = |task: &String| match batch.targets.get(task) {
            Some(target) => is_weighted(target).map_err(|e| of_task(e, task)),
            None => Ok(false),
        };
        let mut present = Vec::new();
        for task in &self.tasks {
            if labeled(task)? {
                present.push(task.clone());
            }
        }
        Ok(present)
    }

    pub(super) fn step_rng(&self) -> Rng {
        self.rng.fork_at(self.done)
    }

    fn samples(&self, task: &str, prediction: &Tensor, batch: &Batch) -> Result<PerSample> {
        let target = batch.targets.require("task", task)?;
        if prediction.dims().first() != Some(&target.len()) {
            let what = format!("prediction of `{task}`");
            return Err(Error::shape(
                what,
                format!("[{}, …] as its target", target.len()),
                prediction.dims(),
            ));
        }
        let criterion = self.criteria.require("task", task)?;
        let losses = criterion.losses(prediction, target).map_err(|e| of_task(e, task))?;
        Ok(PerSample { losses, weight: criterion.weight(target).map_err(|e| of_task(e, task))? })
    }
}

fn mean(task: &str, samples: &PerSample) -> Result<Tensor> {
    let mean = weighted_mean(&samples.losses, &samples.weight).map_err(|e| of_task(e, task))?;
    match ops::all_finite(&mean)? {
        true => Ok(mean),
        false => Err(Error::non_finite("loss", task)),
    }
}

/// Whether any label counts.
///
/// # Errors
/// [`Error::Parameter`] for a weight that is negative or not finite.
fn is_weighted(target: &Target) -> Result<bool> {
    let weights = target.weight().flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    match weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        Some(weight) => Err(Error::parameter("weight of the target", "finite numbers ≥ 0", weight)),
        None => Ok(weights.iter().any(|weight| *weight > 0.0)),
    }
}

fn require_finite(what: &str, tensors: &Named<Tensor>) -> Result<()> {
    for (name, tensor) in tensors.iter() {
        if !ops::all_finite(tensor)? {
            return Err(Error::non_finite(what, name));
        }
    }
    Ok(())
}

/// The error with the task that it is about.
fn of_task(error: Error, task: &str) -> Error {
    let of = |what: String| format!("{what} of `{task}`");
    match error {
        Error::Shape { what, expected, found } => Error::Shape { what: of(what), expected, found },
        Error::DType { what, expected, found } => Error::DType { what: of(what), expected, found },
        Error::Parameter { name, expected, found } => Error::Parameter { name: of(name), expected, found },
        other => other,
    }
}

fn unknown(what: &str, task: &str, known: &[String]) -> Error {
    Error::Unknown { what: what.into(), name: task.into(), known: known.to_vec() }
}
