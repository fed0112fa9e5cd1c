//! Scale-invariant sum: Σ log(Lᵢ + ε).
//!
//! The slope of each loss is 1 / (Lᵢ + ε): a loss in other units has the same gradient. Guarantees: no task dominates by its
//! units. Losses must be > −ε.
//! Reference: Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
//! Learning", CVPR workshops 2019 (there as the geometric mean, whose logarithm this is).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{above, sum_of},
};
use crate::parameter;

/// Σ log(Lᵢ + ε).
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `epsilon` | 1e-8 | ≥ 0 | keeps the slope of a loss of 0 finite |
///
/// # Errors
/// [`Error::Parameter`] for a loss that is not > −`epsilon`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::LogLoss};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(0.5)?), ("mask", loss(4.0)?)])?;
/// let step = scalarized(&mut LogLoss::new(0.0)?, &losses)?;
/// assert_eq!(step.weights, Named::new([("class", 2.0), ("mask", 0.25)])?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct LogLoss {
    epsilon: f64,
}

impl LogLoss {
    /// Logarithms of losses plus `epsilon`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an `epsilon` that is negative or not finite.
    pub fn new(epsilon: f64) -> Result<Self> {
        Ok(Self { epsilon: parameter::non_negative("epsilon", epsilon)? })
    }
}

impl Scalarizer for LogLoss {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        above(losses, -self.epsilon)?;
        sum_of(losses, |_, loss| Ok(loss.affine(1.0, self.epsilon)?.log()?))
    }
}

impl Stateful for LogLoss {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("log_loss")
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    epsilon: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { epsilon: 1e-8 }
    }
}

impl TryFrom<Fields> for LogLoss {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.epsilon)
    }
}
