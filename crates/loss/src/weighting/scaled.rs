//! The Gramian of the directions of the gradients, apart from their lengths.
//!
//! With D the diagonal of the squared norms, C = D^-½ G D^-½ is the matrix of cosines. Solvers work on C: its numbers
//! stay near 1 when tasks are in different units.

use nalgebra::{DMatrix, SymmetricEigen};

use taskweave_kernels::Result;

use crate::{Gramian, parameter};

/// How large an eigenvalue is, relative to the largest, that is not rounding.
const RANK: f64 = 1e-12;

/// The tasks whose gradient is not zero: their norms and cosines.
pub(super) struct Scaled {
    /// Which rows of the Gramian they are.
    pub(super) rows: Vec<usize>,
    pub(super) norms: Vec<f64>,
    pub(super) cosines: Vec<Vec<f64>>,
}

impl Scaled {
    pub(super) fn of(gramian: &Gramian) -> Self {
        let norms = gramian.norms();
        let rows: Vec<usize> = (0..norms.len()).filter(|&i| norms[i] > 0.0).collect();
        let entry = |i: usize, j: usize| gramian[(i, j)] / norms[i] / norms[j];
        let cosines = rows.iter().map(|&i| rows.iter().map(|&j| entry(i, j)).collect()).collect();
        Self { norms: rows.iter().map(|&i| norms[i]).collect(), rows, cosines }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// C x.
    pub(super) fn times(&self, x: &[f64]) -> Vec<f64> {
        self.cosines.iter().map(|row| row.iter().zip(x).map(|(c, x)| c * x).sum()).collect()
    }

    /// 1 / ‖gᵢ‖ over the largest of them: a gain of τ for all tasks is one of τ pullᵢ along ûᵢ.
    pub(super) fn pull(&self) -> Vec<f64> {
        let least = self.norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
        self.norms.iter().map(|norm| least / norm).collect()
    }

    /// ‖Σ xᵢ ûᵢ‖, the length of a combination of unit gradients.
    pub(super) fn length(&self, x: &[f64]) -> f64 {
        self.times(x).iter().zip(x).map(|(a, b)| a * b).sum::<f64>().max(0.0).sqrt()
    }

    /// C⁺ 1, with the pseudo-inverse of C.
    pub(super) fn equal_projections(&self) -> Vec<f64> {
        let size = self.len();
        let eigen = SymmetricEigen::new(DMatrix::from_fn(size, size, |i, j| self.cosines[i][j]));
        let least = RANK * eigen.eigenvalues.iter().fold(0.0, |most: f64, value| most.max(*value));
        let mut sum = vec![0.0; size];
        for (value, vector) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
            // Where 1 has no part in the vector but rounding, nothing is divided by a small eigenvalue.
            let part = vector.sum();
            if *value > least && part.abs() > RANK {
                sum.iter_mut().zip(vector.iter()).for_each(|(sum, v)| *sum += part / value * v);
            }
        }
        sum
    }

    /// Weights of all tasks from those of unit gradients: wᵢ = xᵢ / ‖gᵢ‖, and `zero` for a gradient of zero.
    pub(super) fn weights(&self, x: &[f64], size: usize, zero: f64) -> Vec<f64> {
        let mut weights = vec![zero; size];
        for ((row, x), norm) in self.rows.iter().zip(x).zip(&self.norms) {
            weights[*row] = x / norm;
        }
        weights
    }
}

/// The losses of all tasks, for a method that divides by them.
///
/// # Errors
/// [`Error::Parameter`](taskweave_kernels::Error::Parameter) where there are none, or with the task whose loss is not > 0.
pub(super) fn positive_losses<'a>(method: &str, gramian: &'a Gramian) -> Result<&'a [f64]> {
    let losses = gramian.required_losses(method)?;
    for (task, loss) in gramian.tasks().zip(losses) {
        parameter::positive(&format!("loss of `{task}`"), *loss)?;
    }
    Ok(losses)
}

/// 1/m for each of m tasks: what there is to say where no gradient says anything.
pub(super) fn uniform(size: usize) -> Vec<f64> {
    vec![1.0 / size.max(1) as f64; size]
}
