//! Damped Newton's method for the fair-resource equations of the tasks.
//!
//! ```text
//! minimize  Ψ(q) = ½ qᵀ C q − Σ bᵢ² φ(qᵢ / bᵢ)   over   q > 0,      φ′(y) = y^(−r),  φ(1) = 0
//! ```
//! Ψ is convex, and its minimum solves (C q)ᵢ = bᵢ (qᵢ / bᵢ)^(−r); b is the solution for orthogonal gradients, and q follows
//! when it is scaled. Each step solves with C + diag(r (qᵢ / bᵢ)^(−r−1)) by Cholesky, stays within the positive numbers, and
//! is halved until Ψ falls.

use nalgebra::{Cholesky, DMatrix, DVector};
use taskweave_kernels::{Error, Result};

use super::{cone::Solved, scaled::Scaled};

/// How far the equations may be violated, relative to the larger of their sides.
const TOLERANCE: f64 = 1e-11;

/// How short Σ qᵢ ûᵢ may be, relative to Σ qᵢ: less means that q runs away, since there is no solution.
const CANCELED: f64 = 1e-6;

/// From how many times b on q may be running away, where rounding does not explain as much any more.
const FAR: f64 = 1e3;

/// The share of an equation that rounding explains at most, from there on.
const EXCUSED: f64 = 1e-3;

const LIMIT: usize = 300;

/// The positive q with (C q)ᵢ = bᵢ (qᵢ / bᵢ)^(−r), and how far it violates that beyond what rounding explains; `b > 0`.
///
/// # Errors
/// [`Error::NotConverged`] with the largest relative violation: where 0 is in the interior of the convex hull of the
/// gradients no q exists.
pub(super) fn fair(method: &str, scaled: &Scaled, b: &[f64], r: f64) -> Result<Solved> {
    let most = b.iter().fold(0.0, |most: f64, b| most.max(*b));
    let fair = Fair {
        c: DMatrix::from_fn(scaled.len(), scaled.len(), |i, j| scaled.cosines[i][j]),
        b: b.iter().map(|b| b / most).collect(),
        r,
    };
    let mut q = DVector::from_column_slice(&fair.b);
    let (mut left, mut iterations) = (fair.residual(&q), 0);
    while left > TOLERANCE && iterations < LIMIT {
        let Some(next) = fair.step(&q, left) else { break };
        (left, q, iterations) = (fair.residual(&next), next, iterations + 1);
    }
    match left <= 1e-9 {
        true => Ok(Solved { x: q.iter().map(|q| q * most).collect(), residual: left }),
        false => Err(Error::NotConverged { method: method.into(), iterations, residual: left }),
    }
}

/// The equations.
struct Fair {
    c: DMatrix<f64>,
    b: Vec<f64>,
    r: f64,
}

impl Fair {
    /// The next q, from one at which the equations are violated by `left`; nothing where rounding hides any progress.
    fn step(&self, q: &DVector<f64>, left: f64) -> Option<DVector<f64>> {
        let pull = self.pull(q);
        let slope = &self.c * q - DVector::from_column_slice(&pull);
        let mut curve = self.c.clone();
        (0..pull.len()).for_each(|i| curve[(i, i)] += self.r * pull[i] / q[i]);
        let step = -Cholesky::new(curve)?.solve(&slope);
        // Close to the minimum the fall of Ψ is lost in rounding before the equations hold.
        let full = q + &step;
        let near = full.min() > 0.0 && self.residual(&full) < 0.5 * left;
        if near { Some(full) } else { self.shorter(q, &step, slope.dot(&step)) }
    }

    /// The largest violation of the equations, relative to the larger of their sides, beyond what rounding of q and of C q
    /// explains.
    fn residual(&self, q: &DVector<f64>) -> f64 {
        let (along, terms, pull) = (&self.c * q, self.c.abs() * q, self.pull(q));
        let farthest = q.iter().zip(&self.b).map(|(q, b)| q / b).fold(0.0, f64::max);
        let most = match q.dot(&along) > (CANCELED * q.sum()).powi(2) {
            true if farthest <= FAR => f64::INFINITY,
            true => EXCUSED,
            false => 0.0,
        };
        let violation = |i: usize| {
            let rounding = (4.0 * f64::EPSILON * pull.len() as f64 * terms[i]).min(most * pull[i]);
            ((along[i] - pull[i]).abs() - rounding).max(0.0) / along[i].abs().max(pull[i])
        };
        // What is not a number is no small violation.
        let worse = |most: f64, violation: f64| if violation <= most { most } else { violation };
        (0..pull.len()).map(violation).fold(0.0, worse)
    }

    fn pull(&self, q: &DVector<f64>) -> Vec<f64> {
        self.b.iter().zip(q).map(|(b, q)| b * (q / b).powf(-self.r)).collect()
    }

    fn psi(&self, q: &DVector<f64>) -> f64 {
        let rest = 1.0 - self.r;
        let phi = |y: f64| if rest == 0.0 { y.ln() } else { (rest * y.ln()).exp_m1() / rest };
        0.5 * q.dot(&(&self.c * q)) - self.b.iter().zip(q).map(|(b, q)| b * b * phi(q / b)).sum::<f64>()
    }

    /// The place along a step, halved until Ψ falls; nothing where rounding hides any fall.
    fn shorter(&self, q: &DVector<f64>, step: &DVector<f64>, descent: f64) -> Option<DVector<f64>> {
        let edge =
            q.iter().zip(step).filter(|(_, s)| **s < 0.0).map(|(q, s)| -q / s).fold(f64::INFINITY, f64::min);
        let (here, mut size) = (self.psi(q), (0.95 * edge).min(1.0));
        for _ in 0..60 {
            let next = q + step * size;
            if self.psi(&next) <= here + 1e-4 * size * descent {
                return Some(next);
            }
            size /= 2.0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gramian;

    #[test]
    fn equations_hold_to_the_residual_and_without_a_solution_it_is_in_the_error() {
        // (C q)ᵢ = 1/qᵢ with C = [[1, ½], [½, 1]]: q = √⅔ (1, 1).
        let scaled =
            |cosine: f64| Scaled::of(&Gramian::new(["a", "b"], &[[1.0, cosine], [cosine, 1.0]]).unwrap());
        let Solved { x, residual } = fair("nash", &scaled(0.5), &[1.0, 1.0], 1.0).unwrap();
        assert!(x.iter().all(|q| (q - (2.0f64 / 3.0).sqrt()).abs() < 1e-11) && residual <= 1e-9, "{x:?}");
        let error = fair("nash", &scaled(-1.0), &[1.0, 1.0], 1.0).unwrap_err();
        assert!(matches!(error, Error::NotConverged { residual, .. } if residual > 1e-9), "{error}");
    }
}
