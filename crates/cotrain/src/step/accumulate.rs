//! The gradients of a step over several batches as if they were one: each task's are kept, and balanced at the end.

use candle_core::{DType, Device, Tensor};
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::autograd::{self, Gradient, Tape};
use taskweave_kernels::{Error, Named, Result};

use super::gradients::{add, differentiate, first_not_finite, scalar, split};
use super::rows::{AtSeams, Kept};
use super::{Step, StepReport};
use crate::balance::{Gradients, times};

/// What several batches have given so far.
struct Sums {
    losses: Named<f64>,
    /// The gradients of each task.
    rows: Named<Named<Gradient>>,
    /// The products of the tasks' gradients of the features.
    seams: AtSeams,
}

impl Step {
    /// One forward pass per batch and one backward pass per batch and task; then the weights, then the sum.
    pub(super) fn accumulated(
        &mut self,
        batches: &[Batch],
        tasks: &[String],
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        self.balance.require_several()?;
        let losses = Named::new(tasks.iter().map(|task| (task.clone(), 0.0)))?;
        let rows = losses.map(|_, _| Named::default());
        let mut sums = Sums { seams: AtSeams::new(tasks), losses, rows };
        let totals = self.weights(batches, tasks)?;
        for (i, batch) in batches.iter().enumerate() {
            self.add_batch((i, batch), &totals, report, &mut sums)?;
        }
        self.combine(sums, report)
    }

    /// Adds the share that a batch has in the losses of all.
    fn add_batch(
        &self,
        (i, batch): (usize, &Batch),
        totals: &Named<f64>,
        report: &StepReport,
        sums: &mut Sums,
    ) -> Result<()> {
        let tasks: Vec<String> = totals.names().map(String::from).collect();
        let (present, rng) = (self.learners(batch, &tasks)?, self.part_rng(i));
        let weights = self.weights(std::slice::from_ref(batch), &present)?;
        let held = report.held.as_ref();
        let (learning, seam) = (self.learning(held, &Named::default()), self.seam(held));
        let balanced = self.balanced(held);
        let (pass, tape) = autograd::record(|| self.pass_at(batch, &present, Mode::Train(&rng), seam))?;
        let mut at_seam = Named::default();
        for (task, loss) in pass.losses.iter() {
            let share = loss.affine(share(&weights, totals, task)?, 0.0)?;
            *sums.losses.require_mut("task", task)? += scalar(&share)?;
            let [behind, before, features] = pass.cuts.differentiate(&tape, &share, &learning)?;
            sums.seams.trained |= before.names().any(|name| balanced.contains(name));
            let row = sums.rows.require_mut("task", task)?;
            [behind, before].into_iter().try_for_each(|gradients| add(row, gradients))?;
            at_seam.insert(task, features)?;
        }
        sums.seams.add(&at_seam)
    }

    /// Weighs the rows of the large batch as the scalarizer says, adds its own parameters' gradients, and balances.
    fn combine(&mut self, sums: Sums, report: &mut StepReport) -> Result<Named<Gradient>> {
        let Sums { losses, rows, seams } = sums;
        let leaves = losses.try_map(|task, loss| {
            // A task that nothing learns from has no gradient of its own.
            let own = rows.require("task", task)?.values().next();
            let like = own.or_else(|| rows.values().flat_map(Named::values).next()).map(Gradient::values);
            let like = like.map(|t| (t.dtype(), t.device().clone()));
            let (dtype, device) = like.unwrap_or((DType::F64, Device::Cpu));
            Ok::<_, Error>(Tensor::new(*loss, &device)?.to_dtype(dtype)?)
        })?;
        let step = self.balance.scalarized(&leaves)?;
        let balanced = self.balanced(report.held.as_ref());
        let mut gradients = differentiate(&Tape::default(), &step.value, &self.balance.objective())?;
        for (task, row) in rows.iter() {
            if let Some(name) = first_not_finite(row)? {
                return Err(Error::non_finite(format!("gradient (parameter `{name}`)"), task));
            }
            let (weight, [_, plain]) = (*step.weights.require("task", task)?, split(row, &balanced));
            add(&mut gradients, plain.try_map(|_, block| times(block, weight))?)?;
        }
        (report.losses, report.value, report.weights) = (losses, scalar(&step.value)?, step.weights);
        if !balanced.is_empty() {
            let kept = Kept::new(&rows, &balanced)?;
            let found = match self.balance.gradients() {
                Gradients::Representation(_) => {
                    self.balance.balance(&mut seams.over(kept), &report.losses, &report.weights)?
                }
                _ => self.balance.balance(&mut { kept }, &report.losses, &report.weights)?,
            };
            self.put(found, &mut gradients, report)?;
        }
        let (clipped, norm) = self.clip.apply(&gradients)?;
        report.gradient_norm = norm;
        Ok(clipped)
    }
}

/// The share of one batch's loss in that of all batches.
pub(super) fn share(weights: &Named<f64>, totals: &Named<f64>, task: &str) -> Result<f64> {
    let (weight, total) = (weights.require("task", task)?, *totals.require("task", task)?);
    Ok(if total > 0.0 { weight / total } else { 0.0 })
}
