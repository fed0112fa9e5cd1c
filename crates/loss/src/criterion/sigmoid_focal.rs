//! Sigmoid focal loss: binary cross-entropy that fades for elements that are already right.
//!
//! Given p = σ(x), a target t in [0, 1], q = p·t + (1 − p)(1 − t) and a = α·t + (1 − α)(1 − t),
//!     ℓ = a·(1 − q)^γ·bce(x, t).
//! With γ = 0 and α = ½ it is half the binary cross-entropy.
//! Variants: no division by the number of positives; the mean over elements is that of every criterion.
//! Reference: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, <https://arxiv.org/abs/1708.02002>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target, ops};

use super::{
    Criterion,
    elementwise::{elementwise, in_unit_interval, magnitude},
};
use crate::parameter;

/// Sigmoid focal loss.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `alpha` | 0.25 | [0, 1] | share of the positive elements against the negative ones |
/// | `gamma` | 2 | ≥ 0 | how fast the loss of easy elements fades |
///
/// # Shapes
/// Logits `[batch, …]`; target of the same shape, floating point, in [0, 1].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::SigmoidFocal};
/// let target = Target::new(Tensor::new(&[1f64], &Device::Cpu)?)?;
/// let losses = SigmoidFocal::new(0.25, 2.0)?.losses(&Tensor::new(&[0f64], &Device::Cpu)?, &target)?;
/// assert!((losses.to_vec1::<f64>()?[0] - 2f64.ln() / 16.0).abs() < 1e-15); // ¼ · (½)² · log 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct SigmoidFocal {
    alpha: f64,
    gamma: f64,
}

impl SigmoidFocal {
    /// Positive elements weigh `alpha`, negative ones 1 − `alpha`; easy ones fade by the power `gamma`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an `alpha` outside [0, 1] or a `gamma` that is not a finite number ≥ 0.
    pub fn new(alpha: f64, gamma: f64) -> Result<Self> {
        Ok(Self {
            alpha: parameter::fraction("alpha", alpha)?,
            gamma: parameter::non_negative("gamma", gamma)?,
        })
    }

    fn element_losses(&self, x: &Tensor, t: &Tensor) -> candle_core::Result<Tensor> {
        // σ(|x|) and σ(−|x|) as 1/(1 + e) and e/(1 + e) with e = e^−|x|: no overflow, no 1 − p.
        let e = magnitude(x)?.neg()?.exp()?;
        let large = e.affine(1.0, 1.0)?.recip()?;
        let small = e.mul(&large)?;
        let negative = x.lt(0.0)?;
        let p = negative.where_cond(&small, &large)?;
        let not_p = negative.where_cond(&large, &small)?;
        let wrong = (p.mul(&t.affine(-1.0, 1.0)?)? + not_p.mul(t)?)?;
        // The power's slope is infinite at 0 for γ < 1.
        let fading = wrong.maximum(1e-30)?.powf(self.gamma)?;
        let share = t.affine(2.0 * self.alpha - 1.0, 1.0 - self.alpha)?;
        ops::bce_with_logits(x, t, 1.0)?.mul(&fading)?.mul(&share)
    }
}

impl Default for SigmoidFocal {
    fn default() -> Self {
        Self { alpha: 0.25, gamma: 2.0 }
    }
}

impl Criterion for SigmoidFocal {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| {
            in_unit_interval("target of sigmoid_focal", t)?;
            Ok(self.element_losses(x, t)?)
        })
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    alpha: f64,
    gamma: f64,
}

impl Default for Fields {
    fn default() -> Self {
        let SigmoidFocal { alpha, gamma } = SigmoidFocal::default();
        Self { alpha, gamma }
    }
}

impl TryFrom<Fields> for SigmoidFocal {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.alpha, fields.gamma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn a_slow_fade_keeps_a_finite_slope_at_saturation() {
        for x in [800f64, -800.0, 0.0] {
            let logit = Var::new(&[x], &Device::Cpu).unwrap();
            let target = Target::new(Tensor::new(&[1f64], &Device::Cpu).unwrap()).unwrap();
            let loss = SigmoidFocal::new(0.25, 0.5).unwrap().losses(&logit, &target).unwrap();
            let slope = loss.backward().unwrap().get(&logit).unwrap().to_vec1::<f64>().unwrap();
            assert!(slope[0].is_finite() && slope[0] <= 0.0, "{x}: {slope:?}");
        }
    }
}
