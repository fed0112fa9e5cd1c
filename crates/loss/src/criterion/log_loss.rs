//! Log loss on probabilities.
//!
//! Given a probability p and a target t in [0, 1],
//!     ℓ = −t·log max(p, ε) − (1 − t)·log max(1 − p, ε).
//! Variants: both logarithms are bounded by themselves, so that an ε below the resolution of 1 − p in f32 still
//! bounds the loss. Beyond the bound the gradient is 0: a model that saturates stops learning, for which
//! [`BceWithLogits`](super::BceWithLogits) on logits is the cure.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    elementwise::{elementwise, in_unit_interval},
};

/// Log loss on probabilities.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `epsilon` | 1e-7 | 1e-30 to 0.5 | probabilities below it count as `epsilon` |
///
/// # Shapes
/// Probabilities `[batch, …]`; target of the same shape, floating point; both in [0, 1].
///
/// # Errors
/// [`Error::Parameter`] for a prediction or target outside [0, 1], NaN included.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::LogLoss};
/// let target = Target::new(Tensor::new(&[1f64, 1.0], &Device::Cpu)?)?;
/// let losses = LogLoss::new(1e-3)?.losses(&Tensor::new(&[0.5f64, 0.0], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [2f64.ln(), 1000f64.ln()]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct LogLoss {
    epsilon: f64,
}

impl LogLoss {
    /// Probabilities below `epsilon` count as `epsilon`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an `epsilon` outside 1e-30 to 0.5.
    pub fn new(epsilon: f64) -> Result<Self> {
        // Below 1e-30 an f32 leaves its normal range and 1/p overflows.
        if !(1e-30..=0.5).contains(&epsilon) {
            return Err(Error::parameter("epsilon", "a number from 1e-30 to 0.5", epsilon));
        }
        Ok(Self { epsilon })
    }
}

impl Default for LogLoss {
    fn default() -> Self {
        Self { epsilon: 1e-7 }
    }
}

impl Criterion for LogLoss {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |p, t| {
            in_unit_interval("prediction of log_loss", p)?;
            in_unit_interval("target of log_loss", t)?;
            let positive = p.maximum(self.epsilon)?.log()?.mul(t)?;
            let negative = p.affine(-1.0, 1.0)?.maximum(self.epsilon)?.log()?.mul(&t.affine(-1.0, 1.0)?)?;
            Ok((positive + negative)?.neg()?)
        })
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    epsilon: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { epsilon: LogLoss::default().epsilon }
    }
}

impl TryFrom<Fields> for LogLoss {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.epsilon)
    }
}
