//! ConFIG: a direction with the same cosine to every gradient, as long as all gradients together reach along it.
//!
//! With unit gradients Û (rows) and C = Û Ûᵀ,
//!     d̂ = Ûᵀ C⁺ 1 / ‖Ûᵀ C⁺ 1‖,   d = (Σᵢ gᵢ·d̂) d̂.
//! Cost: one symmetric eigendecomposition. Guarantees: equal cosines; no conflict wherever such a direction exists
//! (independent gradients). Where gradients depend on each other there may be none: d̂ is that of least squares, and all
//! weights are 0 where it is (antiparallel gradients).
//! Variants: Gramian form of the paper's pseudo-inverse of Û. A gradient of 0 takes no part and gets the weight 0.
//! Reference: Liu, Chu and Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks",
//! ICLR 2025, <https://arxiv.org/abs/2408.11104>.

use taskweave_kernels::Result;

use super::{
    Weighting,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, no_parameters::no_parameters};

/// Equal cosines with all gradients. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{ConfigGrad, Weighting}};
/// // Orthogonal gradients of length 1 and 3: d̂ = (1, 1) / √2, along which they reach 4 / √2 together.
/// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 9.0]])?;
/// let weights = ConfigGrad.weights(&gramian)?;
/// assert!((weights[0] - 2.0).abs() < 1e-12 && (weights[1] - 2.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfigGrad;

no_parameters!(ConfigGrad);

impl Weighting for ConfigGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        let x = scaled.equal_projections();
        let (along, length) = (scaled.times(&x), scaled.length(&x));
        if length == 0.0 {
            return Ok(vec![0.0; size]);
        }
        let reach: f64 = along.iter().zip(&scaled.norms).map(|(along, norm)| along * norm).sum();
        let factor = reach / length / length;
        Ok(scaled.weights(&x.iter().map(|x| x * factor).collect::<Vec<_>>(), size, 0.0))
    }
}

stateless!(ConfigGrad);
