//! The preferred sum of the losses, less their cosine to the preference.
//!
//! Given the losses L and a preference r, the value is
//!     rᵀL − λ cos(r, L).
//! The cosine draws the losses to the ray of the preference. For a set of trade-offs, r changes from step to step and the
//! network sees it as an input. Losses that are all 0 have no cosine, and it is left out.
//! Reference: Ruchte and Grabocka, "Scalable Pareto Front Approximation for Deep Multi-Objective Learning", ICDM 2021,
//! <https://arxiv.org/abs/2103.13392>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    PerTask, Scalarizer,
    terms::{direction, numbers, sum_of, weighed},
};
use crate::parameter;

/// The preferred sum of the losses, less their cosine to the preference.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `preference` | required | > 0, one per task | r, which trade-off is looked for |
/// | `lambda` | required | ≥ 0 | how much the cosine counts |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Cosmos};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(3.0)?), ("mask", loss(4.0)?)])?;
/// let value = Cosmos::new(vec![3.0, 4.0], 2.0)?.scalarize(&losses)?;
/// assert!((value.to_scalar::<f64>()? - 23.0).abs() < 1e-12); // 9 + 16 − 2 · 1
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Cosmos {
    preference: PerTask,
    lambda: f64,
}

impl Cosmos {
    /// The trade-off of these preferences.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a preference that is not > 0, or a `lambda` that is negative or not finite.
    pub fn new(preference: impl Into<PerTask>, lambda: f64) -> Result<Self> {
        Ok(Self {
            preference: preference.into().checked("preference", parameter::positive)?,
            lambda: parameter::non_negative("lambda", lambda)?,
        })
    }
}

impl Scalarizer for Cosmos {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        numbers(losses)?;
        let r = self.preference.of("preference", losses)?;
        let along = weighed(losses, &r)?;
        let square = sum_of(losses, |_, loss| Ok(loss.sqr()?))?;
        if numbers(losses)?.values().all(|loss| *loss == 0.0) {
            return Ok(along);
        }
        let cosine = (weighed(losses, &direction(&r))? / square.sqrt()?)?;
        Ok((along - cosine.affine(self.lambda, 0.0)?)?)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.clone(), self.lambda)?;
        Ok(())
    }
}

impl Stateful for Cosmos {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("cosmos")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    preference: PerTask,
    lambda: f64,
}

impl TryFrom<Fields> for Cosmos {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.preference, fields.lambda)
    }
}
