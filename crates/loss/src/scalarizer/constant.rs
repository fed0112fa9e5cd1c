//! Fixed task weights: Σ wᵢLᵢ over the tasks that are present.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{PerTask, Scalarizer, terms::weighed};
use crate::parameter;

/// Fixed task weights, by task name.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weights` | required | ≥ 0, one per task | factor of the loss of each task, by name or in order |
///
/// A task that is absent from a batch leaves its weight unused; the others are not rescaled.
///
/// # Errors
/// [`Error::Unknown`] for the loss of a task without a weight, [`Error::Shape`] for a list of another length.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Constant};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("mask", loss(2.0)?), ("class", loss(1.0)?)])?;
/// let mut scalarizer = Constant::new(Named::new([("class", 1.0), ("mask", 10.0)])?)?;
/// assert_eq!(scalarizer.scalarize(&losses)?.to_scalar::<f64>()?, 21.0); // 10·2 + 1·1
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Constant {
    weights: PerTask,
}

impl Constant {
    /// These weights, always.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is negative or not finite.
    pub fn new(weights: impl Into<PerTask>) -> Result<Self> {
        Ok(Self { weights: weights.into().checked("weight", parameter::non_negative)? })
    }
}

impl Scalarizer for Constant {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        weighed(losses, &self.weights.of("weights", losses)?)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.clone())?;
        Ok(())
    }
}

impl Stateful for Constant {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("constant")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    weights: PerTask,
}

impl TryFrom<Fields> for Constant {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.weights)
    }
}
