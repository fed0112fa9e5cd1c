//! Damped Newton's method for the fair-resource equations of the tasks.
//!
//! ```text
//! minimize  Ψ(q) = ½ qᵀ C q − Σ βᵢ φ(qᵢ)   over   q > 0,      φ′(q) = q^(−r)
//! ```
//! Ψ is convex, and its minimum solves (C q)ᵢ = βᵢ qᵢ^(−r). Each step solves with C + diag(r βᵢ qᵢ^(−r−1)) by Cholesky,
//! stays within the positive numbers, and is halved until Ψ falls.

use nalgebra::{Cholesky, DMatrix, DVector};
use taskweave_kernels::{Error, Result};

use super::{cone::Solved, scaled::Scaled};

/// How far the equations may be violated, relative to the larger of their sides.
const TOLERANCE: f64 = 1e-11;

/// The most that rounding is taken to explain: more means that q runs away, since there is no solution.
const EXCUSED: f64 = 1e-6;

const LIMIT: usize = 300;

/// The positive q with (C q)ᵢ = βᵢ qᵢ^(−r), and how far it violates that.
///
/// # Errors
/// [`Error::NotConverged`] with the largest relative violation: where 0 is in the interior of the convex hull of the
/// gradients no q exists.
pub(super) fn fair(method: &str, scaled: &Scaled, beta: &[f64], r: f64) -> Result<Solved> {
    let c = DMatrix::from_fn(scaled.len(), scaled.len(), |i, j| scaled.cosines[i][j]);
    // The solution for orthogonal gradients.
    let mut q = DVector::from_iterator(beta.len(), beta.iter().map(|beta| beta.powf(1.0 / (1.0 + r))));
    let mut left = residual(&c, beta, r, &q);
    for _ in 0..LIMIT {
        if left <= TOLERANCE {
            break;
        }
        let pull = pull(beta, &q, r);
        let slope = &c * &q - DVector::from_column_slice(&pull);
        let mut curve = c.clone();
        (0..beta.len()).for_each(|i| curve[(i, i)] += r * pull[i] / q[i]);
        let Some(step) = Cholesky::new(curve).map(|factor| -factor.solve(&slope)) else { break };
        // Close to the minimum the fall of Ψ is lost in rounding before the equations hold.
        let full = &q + &step;
        let near = full.min() > 0.0 && residual(&c, beta, r, &full) < 0.5 * left;
        let next = if near { Some(full) } else { shorter(&c, beta, r, (&q, &step, slope.dot(&step))) };
        let Some(next) = next else { break };
        (left, q) = (residual(&c, beta, r, &next), next);
    }
    if left <= 1e-9 {
        return Ok(Solved { x: q.iter().copied().collect(), residual: left });
    }
    Err(Error::NotConverged { method: method.into(), iterations: LIMIT, residual: left })
}

/// The largest violation of the equations, relative to the larger of their sides, beyond what rounding of C q explains.
fn residual(c: &DMatrix<f64>, beta: &[f64], r: f64, q: &DVector<f64>) -> f64 {
    let (along, terms, pull) = (c * q, c.abs() * q, pull(beta, q, r));
    let violation = |i: usize| {
        let rounding = (4.0 * f64::EPSILON * beta.len() as f64 * terms[i]).min(EXCUSED * pull[i]);
        ((along[i] - pull[i]).abs() - rounding).max(0.0) / along[i].abs().max(pull[i])
    };
    (0..beta.len()).map(violation).fold(0.0, f64::max)
}

fn pull(beta: &[f64], q: &DVector<f64>, r: f64) -> Vec<f64> {
    beta.iter().zip(q).map(|(beta, q)| beta * q.powf(-r)).collect()
}

/// The place along a step, halved until Ψ falls; nothing where rounding hides any fall.
fn shorter(
    c: &DMatrix<f64>,
    beta: &[f64],
    r: f64,
    (q, step, descent): (&DVector<f64>, &DVector<f64>, f64),
) -> Option<DVector<f64>> {
    let psi = |q: &DVector<f64>| {
        let gain =
            |(beta, q): (&f64, &f64)| beta * if r == 1.0 { q.ln() } else { q.powf(1.0 - r) / (1.0 - r) };
        0.5 * q.dot(&(c * q)) - beta.iter().zip(q).map(gain).sum::<f64>()
    };
    let edge =
        q.iter().zip(step).filter(|(_, s)| **s < 0.0).map(|(q, s)| -q / s).fold(f64::INFINITY, f64::min);
    let (here, mut size) = (psi(q), (0.95 * edge).min(1.0));
    for _ in 0..60 {
        let next = q + step * size;
        if psi(&next) <= here + 1e-4 * size * descent {
            return Some(next);
        }
        size /= 2.0;
    }
    None
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
