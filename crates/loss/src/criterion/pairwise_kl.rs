//! Kullback–Leibler divergences between the predictions of several networks, each pair in both directions.
//!
//! Given the distributions p₁ … p_N of N networks over the classes,
//!     ℓ = 1/(N − 1) · Σ_k Σ_{l ≠ k} KL(p_l ‖ p_k).
//! With `teachers` fixed, p_l is a constant: each network moves towards its peers and none is moved by being
//! imitated (mutual learning). With `teachers` trained the gradient flows through both sides (JoCoR).
//! Guarantees: ℓ = 0 where all agree. For N = 2 and trained teachers ℓ = KL(p₁‖p₂) + KL(p₂‖p₁).
//! Variants: this is the sum over networks of the mean over their peers, as in the papers; the temperature is 1.
//! Reference: Zhang et al., "Deep Mutual Learning", CVPR 2018, <https://arxiv.org/abs/1706.00384>; Wei et al.,
//! "Combating Noisy Labels by Agreement", CVPR 2020, <https://arxiv.org/abs/2003.02752>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Result, Target};

use super::{Criterion, stacked::over_networks};

/// Divergences between the predictions of several networks, pair by pair.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `teachers` | fixed | `fixed`, `trained` | whether the imitated side of a pair gets a gradient |
///
/// # Shapes
/// Logits `[batch, networks, classes, …]` of two networks or more; of the target only the weight `[batch]` counts.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::PairwiseKl};
/// // p₁ = (½, ½), p₂ = (¾, ¼): KL(p₁‖p₂) + KL(p₂‖p₁) = ½·log 4/3 + ¾·log 3/2 − ¼·log 2 = ¼·log 3.
/// let logits = Tensor::new(&[[[0f64, 0.0], [3f64.ln(), 0.0]]], &Device::Cpu)?;
/// let target = Target::new(Tensor::zeros(1, DType::U32, &Device::Cpu)?)?;
/// let losses = PairwiseKl::default().losses(&logits, &target)?.to_vec1::<f64>()?;
/// assert!((losses[0] - 0.25 * 3f64.ln()).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairwiseKl {
    /// Whether the imitated side of a pair gets a gradient.
    pub teachers: Teachers,
}

/// Whether the imitated side of a pair gets a gradient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teachers {
    /// It is a constant.
    #[default]
    Fixed,
    /// It does.
    Trained,
}

impl Criterion for PairwiseKl {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        over_networks(prediction, target, |logs| {
            let peers = (logs.len() - 1) as f64;
            let mut sum = logs[0].zeros_like()?;
            for (l, teacher) in logs.iter().enumerate() {
                let teacher = match self.teachers {
                    Teachers::Fixed => teacher.detach(),
                    Teachers::Trained => teacher.clone(),
                };
                let p = teacher.exp()?;
                for (_, student) in logs.iter().enumerate().filter(|(k, _)| *k != l) {
                    sum = (sum + p.mul(&(&teacher - student)?)?)?;
                }
            }
            sum.affine(1.0 / peers, 0.0)?.sum(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    /// With the teachers fixed the gradient is that of the cross-entropies: 1/(N − 1)·Σ_l (p_k − p_l).
    #[test]
    fn fixed_teachers_get_no_gradient() {
        let logits = [[[0.3f64, -0.7, 1.1], [0.9, 0.2, -0.4], [-1.0, 0.5, 0.1]]];
        let x = Var::new(&logits, &Device::Cpu).unwrap();
        let target = Target::new(Tensor::zeros(1, DType::U32, &Device::Cpu).unwrap()).unwrap();
        let loss = PairwiseKl::default().losses(&x, &target).unwrap().sum_all().unwrap();
        let found = loss.backward().unwrap().get(&x).unwrap().to_vec3::<f64>().unwrap();
        let p = logits[0].map(|x| {
            let sum: f64 = x.iter().map(|v| v.exp()).sum();
            x.map(|v| v.exp() / sum)
        });
        for k in 0..3 {
            for c in 0..3 {
                let expected: f64 = (0..3).map(|l| 0.5 * (p[k][c] - p[l][c])).sum();
                assert!((found[0][k][c] - expected).abs() < 1e-14, "network {k}, class {c}");
            }
        }
    }
}
