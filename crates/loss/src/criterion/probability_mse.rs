//! Squared error between the probabilities of a network and given ones.
//!
//! Given a distribution t over C classes and p = softmax(x),
//!     ℓ = (1/C)·Σ_c (p_c − t_c)².
//! The consistency loss of the mean teacher: bounded, so that a teacher who is wrong and sure does little harm.
//! Variants: the mean over classes, not the sum (the Brier score is C times as large).
//! Reference: Tarvainen and Valpola, "Mean Teachers Are Better Role Models", NeurIPS 2017,
//! <https://arxiv.org/abs/1703.01780>.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, softmax::over_distributions};
use crate::no_parameters::no_parameters;

/// Squared error between the probabilities of a network and given ones.
///
/// # Shapes
/// Logits `[batch, classes, …]`; target of the same shape, floating point, in [0, 1]; weight `[batch]`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::ProbabilityMse};
/// let target = Target::new(Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?)?;
/// let losses = ProbabilityMse.losses(&Tensor::new(&[[0f64, 0.0]], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [0.25]); // (½² + ½²) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbabilityMse;

no_parameters!(ProbabilityMse);

impl Criterion for ProbabilityMse {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        let sums = over_distributions(prediction, target, |log_p, t| (log_p.exp()? - t)?.sqr())?;
        Ok((sums / prediction.dim(1)? as f64)?)
    }
}
