//! MGDA: the shortest vector in the convex hull of the tasks' gradients.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns
//!     w = argmin αᵀ G α   over   α ≥ 0, Σ α = 1.
//! The direction of α is that of argmin ‖Jᵀy‖² + (Σ y − 1)² over y ≥ 0, a non-negative least squares problem that the
//! active set solves exactly, in the matrix of cosines. Guarantees: gᵢ·d ≥ ‖d‖² for every task; d = 0 exactly where
//! the point is Pareto stationary. The smallest gradient decides most of it, unless `normalize` is `l2`.
//! Variants: the common code takes Frank-Wolfe steps and stops early; this one is exact. A gradient of 0 takes all of
//! the weight, since the hull then holds 0; several share it.
//! Reference: Désidéri, "Multiple-gradient descent algorithm", Comptes Rendus Mathématique 2012; Sener and Koltun,
//! "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, <https://arxiv.org/abs/1810.04650>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{Weighting, cone, scaled::Scaled, stateless::stateless};
use crate::Gramian;

/// The shortest vector in the convex hull.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `normalize` | `none` | `none`, `l2` | whether gradients are taken at length 1 |
///
/// # Errors
/// [`Error::NotConverged`](taskweave_kernels::Error::NotConverged) where rounding keeps the solver from its tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Mgda, Weighting}};
/// // g₁ = (−4, 1, 1), g₂ = (6, 1, 1)
/// let gramian = Gramian::new(["class", "mask"], &[[18.0, -22.0], [-22.0, 38.0]])?;
/// let weights = Mgda::default().weights(&gramian)?;
/// assert!((weights[0] - 0.6).abs() < 1e-12 && (weights[1] - 0.4).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mgda {
    /// Whether gradients are taken at length 1.
    pub normalize: Normalize,
}

/// What is done to the lengths of gradients before the hull is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// Every gradient is divided by its norm. The weights are for the gradients as they are.
    L2,
}

impl Weighting for Mgda {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let zeros = size - scaled.len();
        if zeros > 0 && self.normalize == Normalize::None || scaled.len() == 0 {
            let share = 1.0 / zeros.max(1) as f64;
            return Ok(gramian.norms().iter().map(|norm| if *norm > 0.0 { 0.0 } else { share }).collect());
        }
        match self.normalize {
            Normalize::None => {
                let alpha = shortest(&scaled.cosines, &scaled.norms)?;
                let on_units: Vec<f64> = alpha.iter().zip(&scaled.norms).map(|(a, norm)| a * norm).collect();
                Ok(scaled.weights(&on_units, size, 0.0))
            }
            Normalize::L2 => {
                let alpha = shortest(&scaled.cosines, &vec![1.0; scaled.len()])?;
                Ok(scaled.weights(&alpha, size, 0.0))
            }
        }
    }
}

stateless!(Mgda);

/// The weights of the shortest vector in the hull of gradients with these cosines and norms.
pub(super) fn shortest(cosines: &[Vec<f64>], norms: &[f64]) -> Result<Vec<f64>> {
    let least = norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
    let pull: Vec<f64> = norms.iter().map(|norm| least / norm).collect();
    let h: Vec<Vec<f64>> = (cosines.iter().zip(&pull))
        .map(|(row, a)| row.iter().zip(&pull).map(|(cosine, b)| cosine + a * b).collect())
        .collect();
    let y = cone::minimum(&h, &pull)?;
    let alpha: Vec<f64> = y.iter().zip(&pull).map(|(y, pull)| y * pull).collect();
    let sum: f64 = alpha.iter().sum();
    Ok(alpha.into_iter().map(|alpha| alpha / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tasks_are_the_clipped_closed_form() {
        // α₁ = (g₂₂ − g₁₂) / ‖g₁ − g₂‖², in [0, 1].
        for (g, expected) in [([1.0, 0.0, 4.0], 0.8), ([1.0, 2.0, 9.0], 1.0), ([1.0, -1.0, 1.0], 0.5)] {
            let gramian = Gramian::new(["a", "b"], &[[g[0], g[1]], [g[1], g[2]]]).unwrap();
            let w = Mgda::default().weights(&gramian).unwrap();
            assert!((w[0] - expected).abs() < 1e-12 && (w[0] + w[1] - 1.0).abs() < 1e-12, "{w:?}");
        }
    }

    #[test]
    fn at_length_one_the_halves_are_equal() {
        let gramian = Gramian::new(["a", "b"], &[[4.0, 0.0], [0.0, 1.0]]).unwrap();
        let w = Mgda { normalize: Normalize::L2 }.weights(&gramian).unwrap();
        assert!((w[0] - 0.25).abs() < 1e-12 && (w[1] - 0.5).abs() < 1e-12, "{w:?}");
    }
}
