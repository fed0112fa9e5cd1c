//! Cross pseudo supervision: every network learns the classes that its peers would choose.
//!
//! Given the logits x₁ … x_N of N networks and their choices ŷ_l = argmax x_l, which are constants,
//!     ℓ = 1/(N − 1) · Σ_k Σ_{l ≠ k} CE(x_k, ŷ_l),
//! at every position, and the mean over positions. For N = 2 this is CE(x₁, ŷ₂) + CE(x₂, ŷ₁).
//! Variants: every position counts, however unsure the peer is, as in the paper.
//! Reference: Chen et al., "Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision", CVPR 2021,
//! <https://arxiv.org/abs/2106.01226>.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::stacked::{networks_of, split};
use super::{Criterion, CrossEntropy};
use crate::no_parameters::no_parameters;

/// Every network learns the classes that its peers would choose.
///
/// # Shapes
/// Logits `[batch, networks, classes, …]` of two networks or more; of the target only the weight `[batch]` counts.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::CrossPseudo};
/// // One network is sure of class 0, the other of class 1: each is wrong by 5 in the eyes of its peer.
/// let logits = Tensor::new(&[[[800f64, 795.0], [795.0, 800.0]]], &Device::Cpu)?;
/// let target = Target::new(Tensor::zeros(1, DType::U32, &Device::Cpu)?)?;
/// let losses = CrossPseudo.losses(&logits, &target)?.to_vec1::<f64>()?;
/// assert!((losses[0] - 2.0 * (1.0 + 5f64.exp()).ln()).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CrossPseudo;

no_parameters!(CrossPseudo);

impl Criterion for CrossPseudo {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        let peers = (networks_of(prediction, target)? - 1) as f64;
        let mut sum = Tensor::zeros(target.len(), prediction.dtype(), prediction.device())?;
        if target.is_empty() {
            return Ok(sum);
        }
        let networks = split(prediction)?;
        for (l, teacher) in networks.iter().enumerate() {
            let chosen = Target::weighted(teacher.detach().argmax(1)?, target.weight().clone())?;
            for (_, student) in networks.iter().enumerate().filter(|(k, _)| *k != l) {
                sum = (sum + CrossEntropy::default().losses(student, &chosen)?)?;
            }
        }
        Ok(sum.affine(1.0 / peers, 0.0)?)
    }
}
