//! Kullback–Leibler divergence of a soft target from the softmax of logits.
//!
//! Given a distribution t over the classes and p = softmax(x),
//!     ℓ = Σ_c t_c·(log t_c − log p_c),   with 0·log 0 = 0.
//! The soft cross-entropy less the entropy of the target: the same gradient in x, and 0 where p = t.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, softmax::over_distributions};
use crate::no_parameters::no_parameters;

/// Kullback–Leibler divergence of a soft target from the prediction.
///
/// # Shapes
/// Logits `[batch, classes, …]`; target of the same shape, floating point, in [0, 1], classes summing to 1 (the
/// sum is not checked); weight `[batch]`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::KlDivergence};
/// let target = Target::new(Tensor::new(&[[1f64, 0.0], [0.5, 0.5]], &Device::Cpu)?)?;
/// let losses = KlDivergence.losses(&Tensor::new(&[[0f64, 0.0], [3.0, 3.0]], &Device::Cpu)?, &target)?;
/// let losses = losses.to_vec1::<f64>()?;
/// assert!((losses[0] - 2f64.ln()).abs() < 1e-15 && losses[1].abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KlDivergence;

no_parameters!(KlDivergence);

impl Criterion for KlDivergence {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_distributions(prediction, target, |log_p, t| {
            // 1e-30 stands for 0, where t·log t is 0 and log t must stay finite.
            t.mul(&(t.maximum(1e-30)?.log()? - log_p)?)
        })
    }
}
