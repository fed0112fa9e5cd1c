//! Huber loss: quadratic up to an error of δ, linear beyond.
//!
//! Given d = x − t,
//!     ℓ = ½d²           where |d| ≤ δ,
//!     ℓ = δ(|d| − ½δ)   elsewhere,
//! computed as c·(|d| − ½c) with c = min(|d|, δ), which has no square that could overflow.
//! Reference: Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist. 35 (1964).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    elementwise::{elementwise, magnitude},
};
use crate::parameter;

/// Huber loss.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `delta` | 1 | > 0 | error beyond which the loss is linear, and its slope there |
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::Huber};
/// let target = Target::new(Tensor::new(&[0f64, 0.0], &Device::Cpu)?)?;
/// let losses = Huber::new(2.0)?.losses(&Tensor::new(&[1f64, 5.0], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [0.5, 8.0]); // ½·1, 2·(5 − 1)
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Huber {
    delta: f64,
}

impl Huber {
    /// Quadratic up to an error of `delta`.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `delta` is not a finite number > 0.
    pub fn new(delta: f64) -> Result<Self> {
        Ok(Self { delta: parameter::positive("delta", delta)? })
    }
}

impl Default for Huber {
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

impl Criterion for Huber {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok(huber(&(x - t)?, self.delta)?))
    }
}

/// The loss of each error.
pub(super) fn huber(error: &Tensor, delta: f64) -> candle_core::Result<Tensor> {
    let size = magnitude(error)?;
    let capped = size.minimum(delta)?;
    capped.mul(&(size - capped.affine(0.5, 0.0)?)?)
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    delta: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { delta: Huber::default().delta }
    }
}

impl TryFrom<Fields> for Huber {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.delta)
    }
}
