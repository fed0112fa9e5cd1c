//! Projection onto the dual cone of some gradients, in terms of their Gramian.
//!
//! ```text
//! minimize  uᵀ C u   over   u ≥ eᵢ
//! ```
//! with C the matrix of cosines. With u = eᵢ + z the conditions are z ≥ 0, s = C (eᵢ + z) ≥ 0 and zᵀs = 0: those of
//! non-negative least squares, solved by the active set of Lawson and Hanson on the normal equations. The set of
//! positive zⱼ grows by the most violated condition, and shrinks where a zⱼ would become negative; each step solves
//! C_PP z_P = −C_Pi by Cholesky. Where C is singular, a candidate that depends on the set is left out: the
//! projection itself is unique, and does not need it.
//! Reference: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.

use taskweave_kernels::{Error, Result};

use crate::Gramian;

/// How far a condition may be violated, relative to gradients of length 1.
const TOLERANCE: f64 = 1e-12;

/// The square of the smallest distance of a gradient from the span of others that counts as independent.
const INDEPENDENT: f64 = 1e-13;

/// The matrix of cosines; rows of zero gradients are zero.
pub(super) fn scaled(gramian: &Gramian, norms: &[f64]) -> Vec<Vec<f64>> {
    let entry = |i: usize, j: usize| match norms[i] > 0.0 && norms[j] > 0.0 {
        true => gramian[(i, j)] / norms[i] / norms[j],
        false => 0.0,
    };
    (0..norms.len()).map(|i| (0..norms.len()).map(|j| entry(i, j)).collect()).collect()
}

/// argmin uᵀ C u over u ≥ eᵢ.
///
/// # Errors
/// [`Error::NotConverged`] with the largest violation.
pub(super) fn project(cosines: &[Vec<f64>], i: usize) -> Result<Vec<f64>> {
    let size = cosines.len();
    let (mut positive, mut blocked): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut z = vec![0.0; size];
    let limit = 10 * size + 10;
    for _ in 0..limit {
        let slope = |j: usize| cosines[j][i] + positive.iter().map(|&p| cosines[j][p] * z[p]).sum::<f64>();
        let free = (0..size).filter(|j| !positive.contains(j) && !blocked.contains(j));
        let worst = free.map(|j| (j, slope(j))).min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((entering, _)) = worst.filter(|(_, s)| *s < -TOLERANCE) else {
            z[i] += 1.0;
            return Ok(z);
        };
        positive.push(entering);
        match settle(cosines, i, &mut positive, &mut z) {
            // What enters and does not stay would enter again.
            Settled::Changed if positive.contains(&entering) => blocked.clear(),
            Settled::Changed | Settled::Dependent => {
                positive.retain(|&p| p != entering);
                z[entering] = 0.0;
                blocked.push(entering);
            }
        }
    }
    let residual = (0..size).map(|j| -(cosines[j][i] + dot(&cosines[j], &z))).fold(0.0, f64::max);
    Err(Error::NotConverged { method: "projection onto the dual cone".into(), iterations: limit, residual })
}

enum Settled {
    Changed,
    /// The last of the set depends on the others.
    Dependent,
}

/// Moves z to the minimum over the positive set, which loses what would become negative on the way.
fn settle(cosines: &[Vec<f64>], i: usize, positive: &mut Vec<usize>, z: &mut [f64]) -> Settled {
    loop {
        let Some(solution) = solve(cosines, positive, i) else { return Settled::Dependent };
        let blocking = positive
            .iter()
            .zip(&solution)
            .filter(|(_, s)| **s <= 0.0)
            .map(|(&p, &s)| z[p] / (z[p] - s))
            .fold(1.0, |least: f64, step| least.min(if step.is_finite() { step } else { 0.0 }));
        let full = solution.iter().all(|s| *s > 0.0);
        for (&p, &s) in positive.iter().zip(&solution) {
            z[p] = if full { s } else { z[p] + blocking * (s - z[p]) };
        }
        if full {
            return Settled::Changed;
        }
        let stays: Vec<usize> = positive
            .iter()
            .zip(&solution)
            .filter(|(p, s)| **s > 0.0 || z[**p] > TOLERANCE)
            .map(|(&p, _)| p)
            .collect();
        positive.iter().filter(|p| !stays.contains(p)).for_each(|&p| z[p] = 0.0);
        *positive = stays;
    }
}

/// Solves C_PP x = −C_Pi by Cholesky; nothing where C_PP is singular.
fn solve(cosines: &[Vec<f64>], set: &[usize], i: usize) -> Option<Vec<f64>> {
    let n = set.len();
    let mut lower = vec![vec![0.0; n]; n];
    for r in 0..n {
        for c in 0..=r {
            let (head, tail) = lower.split_at_mut(r);
            let row = &mut tail[0];
            let left = cosines[set[r]][set[c]];
            if c < r {
                row[c] = (left - dot(&head[c][..c], &row[..c])) / head[c][c];
            } else {
                let pivot = left - dot(&row[..r], &row[..r]);
                if pivot < INDEPENDENT {
                    return None;
                }
                row[r] = pivot.sqrt();
            }
        }
    }
    let mut x: Vec<f64> = set.iter().map(|&p| -cosines[p][i]).collect();
    for r in 0..n {
        x[r] = (x[r] - dot(&lower[r][..r], &x[..r])) / lower[r][r];
    }
    for r in (0..n).rev() {
        let above: f64 = (r + 1..n).map(|k| lower[k][r] * x[k]).sum();
        x[r] = (x[r] - above) / lower[r][r];
    }
    Some(x)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
