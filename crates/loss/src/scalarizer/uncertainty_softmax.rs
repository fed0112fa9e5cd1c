//! Soft optimal uncertainty weighting: weights from the softmax of the inverse losses.
//!
//! Given the losses of the tasks,
//!     value = Σ wᵢLᵢ,   w = softmax(1 / (T Lᵢ)),   no gradient through w.
//! The optimal uncertainty of a loss is known in closed form (σᵢ² ∝ Lᵢ), so that nothing has to be trained; the softmax
//! with a temperature keeps a small loss from taking all. Guarantees: Σ w = 1. Losses must be > 0.
//! Reference: Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning" (UW-SO), 2024,
//! <https://arxiv.org/abs/2408.07985>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{above, softmax, weighed},
};
use crate::parameter;

/// Softmax of the inverse losses.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `temperature` | 1 | > 0 | the larger, the more alike the weights |
///
/// # Errors
/// [`Error::Parameter`] for a loss that is not > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::UncertaintySoftmax};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(0.5)?)])?;
/// let weights = scalarized(&mut UncertaintySoftmax::new(1.0)?, &losses)?.weights;
/// // softmax(1, 2): the smaller loss counts e times as much.
/// assert!((weights["mask"] / weights["class"] - 1f64.exp()).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct UncertaintySoftmax {
    temperature: f64,
}

impl UncertaintySoftmax {
    /// With this temperature.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a temperature that is not a finite number > 0.
    pub fn new(temperature: f64) -> Result<Self> {
        Ok(Self { temperature: parameter::positive("temperature", temperature)? })
    }
}

impl Scalarizer for UncertaintySoftmax {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        // A loss so small that its inverse is infinite takes all of the weight.
        let inverse = |loss: &f64| (1.0 / (self.temperature * loss)).min(f64::MAX);
        weighed(losses, &softmax(&above(losses, 0.0)?.map(|_, loss| inverse(loss))))
    }
}

impl Stateful for UncertaintySoftmax {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("uncertainty_softmax")
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    temperature: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl TryFrom<Fields> for UncertaintySoftmax {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.temperature)
    }
}
