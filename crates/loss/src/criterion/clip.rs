//! CLIP: each network is to find the sample's own vector among those of the other.
//!
//! Given vectors a₁ … a_n and b₁ … b_n of two networks (or views) and s(u, v) = cos(u, v) / τ,
//!     ℓᵢ = ½ [ −log e^{s(aᵢ, bᵢ)} / Σ_j e^{s(aᵢ, b_j)} − log e^{s(aᵢ, bᵢ)} / Σ_j e^{s(a_j, bᵢ)} ].
//! Guarantees: ℓ = log n where all vectors are alike; the length of a vector does not matter. Cost: n² products.
//! Not: a loss of each sample by itself, see [`NtXent`](super::NtXent).
//! Variants: τ is fixed, where the paper trains it from the same start; a sample of fractional weight is compared with as any
//! other.
//! Reference: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, figure 3,
//! <https://arxiv.org/abs/2103.00020>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    contrast::{over_pairs, surprise},
};
use crate::parameter;

/// Each network is to find the sample's own vector among those of the other.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `temperature` | 0.07 | > 0 | τ |
///
/// # Shapes
/// Vectors `[batch, 2, width]` of two networks; of the target only the weight `[batch]` counts.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::Clip};
/// // The own vector is the same, the other one orthogonal: e against e + 1.
/// let vectors = Tensor::new(&[[[1f64, 0.0], [5.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], &Device::Cpu)?;
/// let target = Target::new(Tensor::zeros(2, DType::U32, &Device::Cpu)?)?;
/// let losses = Clip::new(1.0)?.losses(&vectors, &target)?.to_vec1::<f64>()?;
/// let e = std::f64::consts::E;
/// assert!(losses.iter().all(|loss| (loss - ((e + 1.0) / e).ln()).abs() < 1e-15));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Clip {
    temperature: f64,
}

impl Clip {
    /// At a temperature.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not a finite number > 0.
    pub fn new(temperature: f64) -> Result<Self> {
        Ok(Self { temperature: parameter::positive("temperature", temperature)? })
    }
}

impl Default for Clip {
    fn default() -> Self {
        Self { temperature: 0.07 }
    }
}

impl Criterion for Clip {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_pairs(prediction, target, |a, b| {
            let alike = a.matmul(&b.t()?)?.affine(1.0 / self.temperature, 0.0)?;
            (surprise(&alike)? + surprise(&alike.t()?.contiguous()?)?)?.affine(0.5, 0.0)
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
        Self { temperature: Clip::default().temperature }
    }
}

impl TryFrom<Fields> for Clip {
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
    fn vectors_that_are_all_alike_have_the_loss_log_of_the_batch() {
        for n in 1..8usize {
            for temperature in [0.07, 1.0] {
                let vectors = Tensor::new(&[[[0.3f64, -2.0, 1.0]; 2]], &Device::Cpu).unwrap();
                let vectors = vectors.repeat((n, 1, 1)).unwrap();
                let target = Target::new(Tensor::zeros(n, DType::U32, &Device::Cpu).unwrap()).unwrap();
                let losses = Clip::new(temperature).unwrap().losses(&vectors, &target).unwrap();
                let expected = (n as f64).ln();
                assert!(losses.to_vec1::<f64>().unwrap().iter().all(|loss| (loss - expected).abs() < 1e-12));
            }
        }
    }
}
