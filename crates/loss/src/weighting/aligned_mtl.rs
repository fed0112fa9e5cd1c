//! Aligned-MTL: the gradients are turned and stretched until they are orthogonal and of one length.
//!
//! With the eigendecomposition G = V Λ Vᵀ of rank r, returns
//!     w = √λₛ V Λ^-½ Vᵀ u,   u = 1/m
//! over the r positive eigenvalues; λₛ is the smallest, the median or the mean of them. Cost: one symmetric
//! eigendecomposition. Guarantees: the condition number of the aligned gradients is 1. Not: freedom from conflict with
//! the gradients as they were.
//! Variants: `scale` is `min` in the paper; the common code offers all three. The median of an even number is the lower
//! of the two in the middle. Eigenvalues below m ε λ_max count as 0, so that with `min` the length leaps where norms differ by
//! more than some 10⁷, and at 10⁶ it is right to 1e-5: G itself is decomposed, in which norms are part of the method. A
//! Gramian of 0 gives 1/m.
//! Reference: Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
//! <https://arxiv.org/abs/2305.19000>.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{Weighting, scaled::uniform, stateless::stateless};
use crate::Gramian;

/// Orthogonal gradients of one length.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `scale` | `min` | `min`, `median`, `rmse` | which eigenvalue gives the length |
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{AlignedMtl, Weighting}};
/// // Orthogonal gradients of length 1 and 3: all are brought to length 1.
/// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 9.0]])?;
/// let weights = AlignedMtl::default().weights(&gramian)?;
/// assert!((weights[0] - 0.5).abs() < 1e-12 && (weights[1] - 0.5 / 3.0).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignedMtl {
    /// Which eigenvalue gives the length.
    pub scale: AlignedScale,
}

/// Which eigenvalue gives the aligned gradients their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignedScale {
    /// The smallest.
    #[default]
    Min,
    /// The median.
    Median,
    /// The mean, so that the length is the root of a mean of squares.
    Rmse,
}

impl AlignedScale {
    /// The eigenvalue, of those in ascending order.
    fn of(self, eigenvalues: &[f64]) -> f64 {
        match self {
            Self::Min => eigenvalues[0],
            Self::Median => eigenvalues[(eigenvalues.len() - 1) / 2],
            Self::Rmse => eigenvalues.iter().sum::<f64>() / eigenvalues.len() as f64,
        }
    }
}

impl Weighting for AlignedMtl {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let size = gramian.len();
        let largest = gramian.values().iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        if largest == 0.0 {
            return Ok(uniform(size));
        }
        let eigen = SymmetricEigen::new(DMatrix::from_fn(size, size, |i, j| gramian[(i, j)] / largest));
        let least = size as f64 * f64::EPSILON * eigen.eigenvalues.max();
        let mut positive: Vec<f64> =
            eigen.eigenvalues.iter().copied().filter(|value| *value > least).collect();
        positive.sort_by(f64::total_cmp);
        let scale = self.scale.of(&positive);
        let mut weights = vec![0.0; size];
        for (value, vector) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
            if *value > least {
                let part = (scale / value).sqrt() * vector.sum() / size as f64;
                weights.iter_mut().zip(vector.iter()).for_each(|(weight, v)| *weight += part * v);
            }
        }
        Ok(weights)
    }
}

stateless!(AlignedMtl);
