//! MGDA: the shortest vector in the convex hull of the tasks' gradients.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns
//!     w = argmin αᵀ G α   over   α ≥ 0, Σ α = 1.
//! The direction of α is that of argmin ‖Jᵀy‖² + (Σ y − 1)² over y ≥ 0, a non-negative least squares problem that the
//! active set solves exactly, in the matrix of cosines. Guarantees: gᵢ·d ≥ ‖d‖² for every task; d = 0 exactly where
//! the point is Pareto stationary. The smallest gradient decides most of it, unless `normalize` says otherwise: then the
//! hull is that of gᵢ / nᵢ with nᵢ = ‖gᵢ‖ (`l2`), Lᵢ (`loss`) or Lᵢ ‖gᵢ‖ (`loss+`), and the weights are αᵢ / nᵢ.
//! Variants: the common code takes Frank-Wolfe steps and stops early; this one is exact. The common code also applies α
//! to gradients that it has not normalized; here the update is the shortest vector that was found. A gradient of 0
//! takes all of the weight, since the hull then holds 0; several share it.
//! Reference: Désidéri, "Multiple-gradient descent algorithm", Comptes Rendus Mathématique 2012; Sener and Koltun,
//! "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, <https://arxiv.org/abs/1810.04650>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{
    Weighting,
    cone::{self, Solved},
    scaled::{Scaled, positive_losses},
    stateless::stateless,
};
use crate::Gramian;

/// The shortest vector in the convex hull.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `normalize` | `none` | `none`, `l2`, `loss`, `loss+` | what gradients are divided by |
///
/// # Errors
/// [`Error::NotConverged`](taskweave_kernels::Error::NotConverged) where rounding keeps the solver from its tolerance;
/// with `loss` and `loss+` [`Error::Parameter`](taskweave_kernels::Error::Parameter) where losses are missing or not > 0.
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
    /// What gradients are divided by.
    pub normalize: Normalize,
}

/// What gradients are divided by before the hull is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// Their norm.
    L2,
    /// The loss of their task.
    Loss,
    /// Both.
    #[serde(rename = "loss+")]
    LossPlus,
}

impl Normalize {
    /// The lengths of the gradients that are not 0, once they are divided.
    fn lengths(self, gramian: &Gramian, scaled: &Scaled) -> Result<Vec<f64>> {
        if matches!(self, Self::None | Self::L2) {
            return Ok(if self == Self::None { scaled.norms.clone() } else { vec![1.0; scaled.len()] });
        }
        let losses = positive_losses("mgda", gramian)?;
        let length = |(row, norm): (&usize, &f64)| {
            let norm = if self == Self::Loss { *norm } else { 1.0 };
            norm / losses[*row]
        };
        Ok(scaled.rows.iter().zip(&scaled.norms).map(length).collect())
    }

    /// Whether a gradient of 0 stays 0.
    fn keeps_zero(self) -> bool {
        matches!(self, Self::None | Self::Loss)
    }
}

impl Weighting for Mgda {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let lengths = self.normalize.lengths(gramian, &scaled)?;
        let zeros = size - scaled.len();
        if zeros > 0 && self.normalize.keeps_zero() || scaled.len() == 0 {
            let share = 1.0 / zeros.max(1) as f64;
            return Ok(gramian.norms().iter().map(|norm| if *norm > 0.0 { 0.0 } else { share }).collect());
        }
        let alpha = shortest("mgda", &scaled.cosines, &lengths)?.x;
        let on_units: Vec<f64> = alpha.iter().zip(&lengths).map(|(alpha, length)| alpha * length).collect();
        Ok(scaled.weights(&on_units, size, 0.0))
    }
}

stateless!(Mgda);

/// The weights of the shortest vector in the hull of gradients with these cosines and norms, and the residual of their problem.
pub(super) fn shortest(method: &str, cosines: &[Vec<f64>], norms: &[f64]) -> Result<Solved> {
    let least = norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
    let pull: Vec<f64> = norms.iter().map(|norm| least / norm).collect();
    let h: Vec<Vec<f64>> = (cosines.iter().zip(&pull))
        .map(|(row, a)| row.iter().zip(&pull).map(|(cosine, b)| cosine + a * b).collect())
        .collect();
    let Solved { x: y, residual } = cone::minimum(method, &h, &pull)?;
    let alpha: Vec<f64> = y.iter().zip(&pull).map(|(y, pull)| y * pull).collect();
    let sum: f64 = alpha.iter().sum();
    Ok(Solved { x: alpha.into_iter().map(|alpha| alpha / sum).collect(), residual })
}

/// Below this length, relative to the shortest gradient, the shortest vector of the hull is 0.
const CANCELED: f64 = 1e-7;

/// The shortest vector in weights of unit gradients; nothing where gradients cancel: 0 is in their hull.
pub(super) fn shortest_on_units(method: &str, scaled: &Scaled) -> Result<Option<Vec<f64>>> {
    let alpha = shortest(method, &scaled.cosines, &scaled.norms)?.x;
    let x: Vec<f64> = alpha.iter().zip(&scaled.norms).map(|(alpha, norm)| alpha * norm).collect();
    let least = scaled.norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
    Ok((scaled.length(&x) > CANCELED * least).then_some(x))
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

    #[test]
    fn losses_stretch_the_gradients() {
        let orthogonal = Gramian::new(["a", "b"], &[[4.0, 0.0], [0.0, 1.0]]).unwrap();
        let weights = |normalize, losses: [f64; 2]| {
            Mgda { normalize }.weights(&orthogonal.clone().with_losses(losses.to_vec()).unwrap())
        };
        // g / L has the lengths 1 and 1: both get α = ½, and w = α / L.
        let w = weights(Normalize::Loss, [2.0, 1.0]).unwrap();
        assert!((w[0] - 0.25).abs() < 1e-12 && (w[1] - 0.5).abs() < 1e-12, "{w:?}");
        // g / (L ‖g‖) has the lengths ½ and 1: α = (4/5, 1/5), and w = α / (L ‖g‖).
        let w = weights(Normalize::LossPlus, [2.0, 1.0]).unwrap();
        assert!((w[0] - 0.2).abs() < 1e-12 && (w[1] - 0.2).abs() < 1e-12, "{w:?}");
        let error = weights(Normalize::Loss, [2.0, 0.0]).unwrap_err().to_string();
        assert_eq!(error, "loss of `b`: expected a finite number > 0, found 0");
        let error = Mgda { normalize: Normalize::Loss }.weights(&orthogonal).unwrap_err().to_string();
        assert_eq!(error, "losses for mgda: expected one per task, found none");
    }
}
