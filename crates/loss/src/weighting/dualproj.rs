//! DualProj: the mean gradient, projected onto the cone of directions that harm no task.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns
//!     w = argmin vᵀ G v   over   v ≥ 1/m.
//! Cost: one quadratic program of m unknowns by an active set, in the matrix of cosines. Guarantees: gⱼ·Jᵀw ≥ 0 for
//! every task. Not linear under scaling of single rows. Gradients that depend on others but for 3e-7 of their length, the
//! rounding of f32, count as dependent.
//! Variants: the common code adds a multiple of the identity to G; not done here. A gradient of 0 keeps the weight 1/m.
//! Reference: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017,
//! <https://arxiv.org/abs/1706.08840>.

use taskweave_kernels::Result;

use super::{Weighting, cone, scaled::Scaled, stateless::stateless};
use crate::{Gramian, no_parameters::no_parameters};

/// The projection of the mean gradient onto the dual cone. It has no parameters.
///
/// # Errors
/// [`Error::NotConverged`](taskweave_kernels::Error::NotConverged) where rounding keeps the solver from its tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{DualProj, Weighting}};
/// // g₁ = (−4, 1, 1), g₂ = (6, 1, 1)
/// let gramian = Gramian::new(["class", "mask"], &[[18.0, -22.0], [-22.0, 38.0]])?;
/// let weights = DualProj.weights(&gramian)?;
/// assert!((weights[0] - 11.0 / 18.0).abs() < 1e-12 && weights[1] == 0.5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DualProj;

no_parameters!(DualProj);

impl Weighting for DualProj {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let share = 1.0 / size.max(1) as f64;
        let more = cone::projection("dualproj", &scaled.cosines, &scaled.norms)?.x;
        let sums: Vec<f64> =
            more.iter().zip(&scaled.norms).map(|(more, norm)| (more + norm) * share).collect();
        Ok(scaled.weights(&sums, size, share))
    }
}

stateless!(DualProj);
