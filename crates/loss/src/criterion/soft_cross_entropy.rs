//! Cross-entropy of a soft target with the softmax of logits.
//!
//! Given a distribution t over the classes and p = softmax(x),
//!     ℓ = −Σ_c t_c·log p_c.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, softmax::over_distributions};
use crate::no_parameters::no_parameters;

/// Cross-entropy with a soft target: mixed labels, a teacher's probabilities.
///
/// # Shapes
/// Logits `[batch, classes, …]`; target of the same shape, floating point, in [0, 1], classes summing to 1 (the
/// sum is not checked); weight `[batch]`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::SoftCrossEntropy};
/// let target = Target::new(Tensor::new(&[[0.25f64, 0.75]], &Device::Cpu)?)?;
/// let losses = SoftCrossEntropy.losses(&Tensor::new(&[[800f64, 0.0]], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [600.0]); // ¾ · 800
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoftCrossEntropy;

no_parameters!(SoftCrossEntropy);

impl Criterion for SoftCrossEntropy {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_distributions(prediction, target, |log_p, t| log_p.mul(t)?.neg())
    }
}
