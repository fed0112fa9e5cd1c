//! Least squares with non-negative unknowns, in terms of a Gramian: the one quadratic program of the weightings.
//!
//! ```text
//! minimize  ½ xᵀ H x − fᵀ x   over   x ≥ 0
//! ```
//! with H symmetric and positive semi-definite. The conditions are x ≥ 0, s = H x − f ≥ 0 and xᵀs = 0. The set of
//! positive xⱼ grows by the most violated condition, and shrinks where an xⱼ would become negative (the active set of
//! Lawson and Hanson, on the normal equations); each step solves H_PP x_P = f_P by Cholesky. Where a candidate depends on
//! the set, it takes the place of one of the set: along the dependence nothing but −fᵀx changes, and it falls. Where no
//! place is free the minimum is −∞.
//! Reference: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.

use taskweave_kernels::{Error, Result};

/// How far a condition may be violated, relative to the largest number of f.
const TOLERANCE: f64 = 1e-12;

/// The square of the smallest distance of a column from the span of others that counts as independent, relative to
/// its length.
const INDEPENDENT: f64 = 1e-13;

/// What rounding may leave of a condition, relative to its terms.
const ROUNDING: f64 = 1e-9;

/// argmin ½ xᵀ H x − fᵀ x over x ≥ 0.
///
/// # Errors
/// [`Error::NotConverged`] with the largest violation, also where there is no minimum.
pub(super) fn minimum(h: &[Vec<f64>], f: &[f64]) -> Result<Vec<f64>> {
    let size = f.len();
    // What left for one that depends on it would come back for rounding alone, until something else enters.
    let (mut positive, mut left): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut x = vec![0.0; size];
    let scale = f.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let limit = 10 * size + 10;
    for _ in 0..limit {
        let slope = |j: usize| positive.iter().map(|&p| h[j][p] * x[p]).sum::<f64>() - f[j];
        let free = (0..size).filter(|j| !positive.contains(j) && !left.contains(j));
        let worst = free.map(|j| (j, slope(j))).min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((entering, _)) = worst.filter(|(_, s)| *s < -TOLERANCE * scale) else { break };
        positive.push(entering);
        match settle(h, f, &mut positive, &mut x) {
            Settled::Free if positive.contains(&entering) => left.clear(),
            Settled::Free => left.push(entering),
            Settled::Swapped(other) => left.push(other),
            Settled::Unbounded => break,
        }
    }
    let terms = scale + x.iter().sum::<f64>();
    let residual = (0..size).map(|j| f[j] - dot(&h[j], &x)).fold(0.0, f64::max);
    match residual <= ROUNDING * terms {
        true => Ok(x),
        false => Err(Error::NotConverged {
            method: "non-negative least squares".into(),
            iterations: limit,
            residual,
        }),
    }
}

enum Settled {
    Free,
    /// The last of the set depended on the others and took the place of this one.
    Swapped(usize),
    /// It depends on them, and no place is free.
    Unbounded,
}

/// Moves x to the minimum over the positive set, which loses what would become negative on the way.
fn settle(h: &[Vec<f64>], f: &[f64], positive: &mut Vec<usize>, x: &mut [f64]) -> Settled {
    let mut settled = Settled::Free;
    loop {
        let Some(solution) = solve(h, positive, f) else {
            match swap(h, positive, x) {
                Some(other) => settled = Settled::Swapped(other),
                None => return Settled::Unbounded,
            }
            continue;
        };
        let blocking = positive
            .iter()
            .zip(&solution)
            .filter(|(_, s)| **s <= 0.0)
            .map(|(&p, &s)| x[p] / (x[p] - s))
            .fold(1.0, |least: f64, step| least.min(if step.is_finite() { step } else { 0.0 }));
        let full = solution.iter().all(|s| *s > 0.0);
        let largest = solution.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
        for (&p, &s) in positive.iter().zip(&solution) {
            x[p] = if full { s } else { x[p] + blocking * (s - x[p]) };
        }
        if full {
            return settled;
        }
        let stays: Vec<usize> = positive
            .iter()
            .zip(&solution)
            .filter(|(p, s)| **s > 0.0 || x[**p] > TOLERANCE * largest)
            .map(|(&p, _)| p)
            .collect();
        positive.iter().filter(|p| !stays.contains(p)).for_each(|&p| x[p] = 0.0);
        *positive = stays;
    }
}

/// Puts the last of the set in the place of the one that it brings to 0 first; nothing, and the last left out, where
/// there is none.
fn swap(h: &[Vec<f64>], positive: &mut Vec<usize>, x: &mut [f64]) -> Option<usize> {
    let entering = positive.pop()?;
    let parts = solve(h, positive, &h[entering])?;
    let first = (positive.iter().zip(&parts))
        .filter(|(_, part)| **part > ROUNDING)
        .map(|(&p, part)| (p, x[p] / part))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let (leaving, most) = first?;
    positive.iter().zip(&parts).for_each(|(&p, part)| x[p] = (x[p] - most * part).max(0.0));
    x[leaving] = 0.0;
    x[entering] += most;
    positive.retain(|p| *p != leaving);
    positive.push(entering);
    Some(leaving)
}

/// Solves H_PP x = f_P by Cholesky; nothing where H_PP is singular.
fn solve(h: &[Vec<f64>], set: &[usize], f: &[f64]) -> Option<Vec<f64>> {
    let n = set.len();
    let mut lower = vec![vec![0.0; n]; n];
    for r in 0..n {
        for c in 0..=r {
            let (head, tail) = lower.split_at_mut(r);
            let row = &mut tail[0];
            let left = h[set[r]][set[c]];
            if c < r {
                row[c] = (left - dot(&head[c][..c], &row[..c])) / head[c][c];
            } else {
                let pivot = left - dot(&row[..r], &row[..r]);
                if pivot <= INDEPENDENT * left {
                    return None;
                }
                row[r] = pivot.sqrt();
            }
        }
    }
    let mut x: Vec<f64> = set.iter().map(|&p| f[p]).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_where_the_free_minimum_is_negative() {
        // Free minimum: (2, −1) with H = I.
        assert_eq!(minimum(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[2.0, -1.0]).unwrap(), [2.0, 0.0]);
        // Free minimum: H⁻¹ f = (4, −2) / 3; on x₂ = 0 the minimum is x₁ = 1.
        assert_eq!(minimum(&[vec![1.0, 0.5], vec![0.5, 1.0]], &[1.0, 0.0]).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn without_a_minimum_there_is_an_error() {
        // x = (1, 1) costs nothing and gains.
        let opposed = [vec![1.0, -1.0], vec![-1.0, 1.0]];
        assert!(matches!(minimum(&opposed, &[1.0, 1.0]), Err(Error::NotConverged { .. })));
    }

    #[test]
    fn of_two_equal_columns_the_one_that_gains_more_is_used() {
        assert_eq!(minimum(&[vec![1.0, 1.0], vec![1.0, 1.0]], &[0.0, 0.0]).unwrap(), [0.0, 0.0]);
        let x = minimum(&[vec![4.0, 2.0], vec![2.0, 1.0]], &[4.0, 2.0]).unwrap();
        assert_eq!(2.0 * x[0] + x[1], 2.0);
    }

    #[test]
    fn a_singular_matrix_needs_one_of_two_equal_columns() {
        let x = minimum(&[vec![1.0, 1.0], vec![1.0, 1.0]], &[3.0, 3.0]).unwrap();
        assert_eq!(x.iter().sum::<f64>(), 3.0);
    }
}
