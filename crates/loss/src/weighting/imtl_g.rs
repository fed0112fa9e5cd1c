//! IMTL-G: the update has the same projection on the direction of every gradient.
//!
//! Given unit gradients ûᵢ, returns w with
//!     ûᵢ·Jᵀw equal for all i,   Σ w = 1,
//! which is wᵢ ∝ (C⁺ 1)ᵢ / ‖gᵢ‖ with C the matrix of cosines. Cost: one symmetric eigendecomposition. Guarantees: the
//! projections are equal wherever gradients are independent. Weights may be negative. Where gradients depend on each other
//! there may be no such direction: then projections are as near to each other as least squares bring them, some may be
//! negative, and all weights are 0, which is no step, where these are (antiparallel gradients) or where they cancel in the sum.
//! Variants: the paper solves a linear system of differences, which fails on dependent gradients; this is the
//! pseudo-inverse. A gradient of 0 takes no part and gets the weight 0.
//! Reference: Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021,
//! <https://openreview.net/forum?id=IMPnRXEWpvr>.

use taskweave_kernels::Result;

use super::{
    Weighting,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, no_parameters::no_parameters};

/// Below this, relative to its terms, a sum is rounding.
const CANCELED: f64 = 1e-12;

/// Equal projections on all gradients. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{ImtlG, Weighting}};
/// // Orthogonal gradients of length 1 and 3: the longer one counts a third of the other.
/// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 9.0]])?;
/// let weights = ImtlG.weights(&gramian)?;
/// assert!((weights[0] - 0.75).abs() < 1e-15 && (weights[1] - 0.25).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImtlG;

no_parameters!(ImtlG);

impl Weighting for ImtlG {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        let weights = scaled.weights(&scaled.equal_projections(), size, 0.0);
        let (sum, terms) = (weights.iter().sum::<f64>(), weights.iter().map(|w| w.abs()).sum::<f64>());
        if sum.abs() <= CANCELED * terms {
            return Ok(vec![0.0; size]);
        }
        Ok(weights.into_iter().map(|weight| weight / sum).collect())
    }
}

stateless!(ImtlG);
