//! Smooth L1 loss: the absolute error with its corner rounded off, Huber's loss with δ = β divided by β.
//!
//! Given d = x − t,
//!     ℓ = ½d²/β      where |d| < β,
//!     ℓ = |d| − ½β   elsewhere.
//! Variants: β = 0, which some libraries accept, is [`L1`](super::L1).
//! Reference: Girshick, "Fast R-CNN", ICCV 2015, <https://arxiv.org/abs/1504.08083>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{Criterion, elementwise::elementwise, huber::huber};
use crate::parameter;

/// Smooth L1 loss.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta` | 1 | > 0 | error beyond which the loss is linear with slope 1 |
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::SmoothL1};
/// let target = Target::new(Tensor::new(&[0f64, 0.0], &Device::Cpu)?)?;
/// let losses = SmoothL1::new(2.0)?.losses(&Tensor::new(&[1f64, 5.0], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [0.25, 4.0]); // ½·1/2, 5 − 1
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct SmoothL1 {
    beta: f64,
}

impl SmoothL1 {
    /// Linear beyond an error of `beta`.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `beta` is not a finite number > 0.
    pub fn new(beta: f64) -> Result<Self> {
        Ok(Self { beta: parameter::positive("beta", beta)? })
    }
}

impl Default for SmoothL1 {
    fn default() -> Self {
        Self { beta: 1.0 }
    }
}

impl Criterion for SmoothL1 {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok(huber(&(x - t)?, self.beta)?.affine(1.0 / self.beta, 0.0)?))
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    beta: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { beta: SmoothL1::default().beta }
    }
}

impl TryFrom<Fields> for SmoothL1 {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.beta)
    }
}
