//! Penalty-based boundary intersection: how far along the preference, and how far beside it.
//!
//! Given the losses L and a preference r with r̂ = r / ‖r‖, the value is
//!     d₁ + θ d₂,   d₁ = L·r̂,   d₂ = ‖L − d₁ r̂‖.
//! Where d₂ is 0 it has no slope, and is left out.
//! Reference: Zhang and Li, "MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition", IEEE Transactions on
//! Evolutionary Computation 2007.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    PerTask, Scalarizer,
    terms::{direction, numbers, sum_of, weighed},
};
use crate::parameter;

/// Penalty-based boundary intersection: how far along the preference, and how far beside it.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `preference` | required | > 0, one per task | r, which trade-off is looked for |
/// | `theta` | required | ≥ 0 | how much the distance beside counts |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Pbi};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(3.0)?), ("mask", loss(4.0)?)])?;
/// let value = Pbi::new(vec![3.0, 4.0], 5.0)?.scalarize(&losses)?;
/// assert!((value.to_scalar::<f64>()? - 5.0).abs() < 1e-12); // on the ray, at distance 5
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Pbi {
    preference: PerTask,
    theta: f64,
}

impl Pbi {
    /// The trade-off of these preferences.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a preference that is not > 0, or a `theta` that is negative or not finite.
    pub fn new(preference: impl Into<PerTask>, theta: f64) -> Result<Self> {
        Ok(Self {
            preference: preference.into().checked("preference", parameter::positive)?,
            theta: parameter::non_negative("theta", theta)?,
        })
    }
}

impl Scalarizer for Pbi {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        numbers(losses)?;
        let r = direction(&self.preference.of("preference", losses)?);
        let first = weighed(losses, &r)?;
        let beside = sum_of(losses, |task, loss| Ok((loss - first.affine(r[task], 0.0)?)?.sqr()?))?;
        let scale = numbers(losses)?.values().map(|loss| loss * loss).sum::<f64>();
        // What rounding leaves of 0 has a slope of no meaning.
        if numbers(&Named::new([("d2", beside.clone())])?)?["d2"] <= 1e-24 * scale {
            return Ok(first);
        }
        Ok((first + beside.sqrt()?.affine(self.theta, 0.0)?)?)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.clone(), self.theta)?;
        Ok(())
    }
}

impl Stateful for Pbi {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("pbi")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    preference: PerTask,
    theta: f64,
}

impl TryFrom<Fields> for Pbi {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.preference, fields.theta)
    }
}
