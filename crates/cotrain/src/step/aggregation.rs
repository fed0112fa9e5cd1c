//! One gradient for what the tasks share, from the gradient of each.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::autograd::{Gradient, Tape};
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Error, Named, Owner, Param, Result};
use taskweave_loss::{Aggregated, Aggregator, Jacobian};

use super::Step;

/// What the parameters of a task's own head get where the gradients of the shared ones are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heads {
    /// The gradient of their own loss, as the scalarizer weighs it.
    #[default]
    Unit,
    /// The same times the weight that the aggregator gives to the task.
    Weighted,
}

/// An aggregator with what becomes of the heads.
pub(super) struct Aggregation {
    pub(super) aggregator: Box<dyn Aggregator>,
    pub(super) heads: Heads,
}

/// The tasks' gradients with respect to the shared parameters, each of its loss times the scalarizer's weight.
pub(super) fn rows_on(
    tape: &Tape,
    losses: &Named<Tensor>,
    weights: &Named<f64>,
    shared: &Named<Param>,
) -> Result<Jacobian> {
    let weighed =
        losses.try_map(|task, loss| Ok::<_, Error>(loss.affine(*weights.require("task", task)?, 0.0)?))?;
    Jacobian::on(tape, &weighed, shared)
}

/// The same from gradients that were kept, in which a parameter that a task does not reach is absent.
pub(super) fn rows_of(
    kept: &Named<Named<Gradient>>,
    weights: &Named<f64>,
    shared: &Named<Param>,
) -> Result<Jacobian> {
    let rows = kept.try_map(|task, row| {
        let weight = *weights.require("task", task)?;
        shared.try_map(|name, param| match row.get(name) {
            Some(block) => block.map_values(|values| values.affine(weight, 0.0)),
            None => Ok(param.var.zeros_like()?.into()),
        })
    })?;
    Jacobian::new(rows)
}

impl Step {
    /// Puts the aggregate in the place of the shared parameters' gradients and weighs those of the heads; returns the
    /// weight of each task, where the aggregator has weights. Without an aggregator, or where nothing shared learns,
    /// nothing changes.
    pub(super) fn aggregate(
        &mut self,
        gradients: &mut Named<Gradient>,
        held: Option<&Owner>,
        rows: impl FnOnce(&Named<Param>) -> Result<Jacobian>,
    ) -> Result<Option<Named<f64>>> {
        let shared = self.shared(held);
        let Some(Aggregation { aggregator, heads }) = &mut self.aggregation else { return Ok(None) };
        let heads = *heads;
        if shared.is_empty() {
            return Ok(None);
        }
        let jacobian = rows(&shared)?;
        let Aggregated { gradient, weights } = aggregator.aggregate(&jacobian)?;
        let tasks = jacobian.rows().names().map(String::from);
        let weights = weights.map(|weights| Named::new(tasks.zip(weights))).transpose()?;
        if heads == Heads::Weighted {
            let weights = weights.as_ref().ok_or_else(|| {
                Error::parameter("heads", "unit where the aggregator has no weights", "weighted")
            })?;
            self.weigh_heads(gradients, weights)?;
        }
        for (name, block) in gradient {
            match gradients.get_mut(&name) {
                Some(place) => *place = block,
                None => gradients.insert(name, block)?,
            }
        }
        Ok(weights)
    }

    /// The trained parameters that all tasks share, or none where they are held.
    fn shared(&self, held: Option<&Owner>) -> Named<Param> {
        let shared = |param: &Param| param.kind.is_trained() && param.owner == Owner::Shared;
        let mut found = Named::default();
        if held != Some(&Owner::Shared) {
            for (name, param) in self.params.named().into_iter().filter(|(_, param)| shared(param)) {
                // The names come from a set of unique ones.
                let _ = found.insert(name, param);
            }
        }
        found
    }

    fn weigh_heads(&self, gradients: &mut Named<Gradient>, weights: &Named<f64>) -> Result<()> {
        for (name, param) in self.params.named().iter() {
            let Owner::Task(task) = &param.owner else { continue };
            if let (Some(gradient), Some(weight)) = (gradients.get_mut(name), weights.get(task)) {
                *gradient = gradient.map_values(|values| values.affine(*weight, 0.0))?;
            }
        }
        Ok(())
    }
}
