//! Jensen–Shannon divergence between the predictions of several networks.
//!
//! Given the distributions p₁ … p_N of N networks over the classes,
//!     ℓ = H(p̄) − (1/N)·Σ_k H(p_k),   p̄ = (1/N)·Σ_k p_k,   H(p) = −Σ_c p_c·log p_c.
//! Guarantees: ℓ = 0 exactly where all agree, ℓ ≤ log N. All networks get its gradient.
//! Reference: Qiao et al., "Deep Co-Training for Semi-Supervised Image Recognition", ECCV 2018, eq. 3,
//! <https://arxiv.org/abs/1803.05984>.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, stacked::over_networks};
use crate::no_parameters::no_parameters;

/// Jensen–Shannon divergence between the predictions of several networks.
///
/// # Shapes
/// Logits `[batch, networks, classes, …]` of two networks or more; of the target only the weight `[batch]` counts.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::JensenShannon};
/// // Two networks that agree, then two that are sure of different classes.
/// let logits = Tensor::new(&[[[3f64, 1.0], [3.0, 1.0]], [[800.0, 0.0], [0.0, 800.0]]], &Device::Cpu)?;
/// let target = Target::new(Tensor::zeros(2, DType::U32, &Device::Cpu)?)?;
/// let losses = JensenShannon.losses(&logits, &target)?.to_vec1::<f64>()?;
/// assert!(losses[0].abs() < 1e-15 && (losses[1] - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JensenShannon;

no_parameters!(JensenShannon);

impl Criterion for JensenShannon {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_networks(prediction, target, |logs| {
            let share = 1.0 / logs.len() as f64;
            let (mut mean, mut inner) = (logs[0].zeros_like()?, logs[0].zeros_like()?);
            for log_p in logs {
                let p = log_p.exp()?;
                inner = (inner + p.mul(log_p)?.affine(share, 0.0)?)?;
                mean = (mean + p.affine(share, 0.0)?)?;
            }
            // 1e-30 stands for 0, where p·log p is 0 and log p must stay finite.
            let outer = mean.mul(&mean.maximum(1e-30)?.log()?)?;
            (inner - outer)?.sum(1)
        })
    }
}
