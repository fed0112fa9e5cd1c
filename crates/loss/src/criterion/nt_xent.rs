//! NT-Xent: of all vectors of the batch, the one of the same sample is to be the most alike.
//!
//! Given vectors a₁ … a_n and b₁ … b_n of two networks (or views) and s(u, v) = cos(u, v) / τ,
//!     ℓᵢ = ½ [ −log e^{s(aᵢ, bᵢ)} / Σ_{v ≠ aᵢ} e^{s(aᵢ, v)} − log e^{s(bᵢ, aᵢ)} / Σ_{v ≠ bᵢ} e^{s(bᵢ, v)} ],
//! v over all 2n vectors.
//! Guarantees: ℓ = log(2n − 1) where all vectors are alike; the length of a vector does not matter. Cost: n² products.
//! Not: a loss of each sample by itself. It depends on which samples the batch holds, so that several batches as one are not one
//! large batch, and gradients of single samples do not exist.
//! Variants: a sample of fractional weight is compared with as any other; the mean of both losses per sample has the mean
//! over all 2n of the paper.
//! Reference: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, eq. 1,
//! <https://arxiv.org/abs/2002.05709>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    contrast::{over_pairs, surprise},
};
use crate::parameter;

/// Of all vectors of the batch, the one of the same sample is to be the most alike.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `temperature` | 0.5 | > 0 | τ |
///
/// # Shapes
/// Vectors `[batch, 2, width]` of two networks; of the target only the weight `[batch]` counts.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::NtXent};
/// // Both networks say the same of both samples, and something orthogonal of each: e against e + 1 + 1.
/// let vectors = Tensor::new(&[[[1f64, 0.0], [5.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], &Device::Cpu)?;
/// let target = Target::new(Tensor::zeros(2, DType::U32, &Device::Cpu)?)?;
/// let losses = NtXent::new(1.0)?.losses(&vectors, &target)?.to_vec1::<f64>()?;
/// let e = std::f64::consts::E;
/// assert!(losses.iter().all(|loss| (loss - ((e + 2.0) / e).ln()).abs() < 1e-15));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct NtXent {
    temperature: f64,
}

impl NtXent {
    /// At a temperature.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not a finite number > 0.
    pub fn new(temperature: f64) -> Result<Self> {
        Ok(Self { temperature: parameter::positive("temperature", temperature)? })
    }
}

impl Default for NtXent {
    fn default() -> Self {
        Self { temperature: 0.5 }
    }
}

impl Criterion for NtXent {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_pairs(prediction, target, |a, b| {
            let alike = |u: &Tensor, v: &Tensor| u.matmul(&v.t()?)?.affine(1.0 / self.temperature, 0.0);
            // No vector is compared with itself.
            let itself = Tensor::eye(a.dim(0)?, a.dtype(), a.device())?.affine(-1e30, 0.0)?;
            let of = |u: &Tensor, v: &Tensor| {
                surprise(&Tensor::cat(&[alike(u, v)?, (alike(u, u)? + &itself)?], 1)?)
            };
            (of(a, b)? + of(b, a)?)?.affine(0.5, 0.0)
        })
    }

    fn compares_samples(&self) -> bool {
        true
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    temperature: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { temperature: NtXent::default().temperature }
    }
}

impl TryFrom<Fields> for NtXent {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.temperature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn vectors_that_are_all_alike_have_the_loss_log_of_all_others() {
        for n in 1..8usize {
            for temperature in [0.1, 0.5, 3.0] {
                let vectors = Tensor::new(&[[[0.3f64, -2.0, 1.0]; 2]], &Device::Cpu).unwrap();
                let vectors = vectors.repeat((n, 1, 1)).unwrap();
                let target = Target::new(Tensor::zeros(n, DType::U32, &Device::Cpu).unwrap()).unwrap();
                let losses = NtXent::new(temperature).unwrap().losses(&vectors, &target).unwrap();
                let expected = ((2 * n - 1) as f64).ln();
                assert!(losses.to_vec1::<f64>().unwrap().iter().all(|loss| (loss - expected).abs() < 1e-12));
            }
        }
    }
}
