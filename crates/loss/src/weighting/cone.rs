//! Least squares with non-negative unknowns, in terms of a Gramian: the one quadratic program of the weightings.
//!
//! ```text
//! minimize  ½ xᵀ H x − fᵀ x   over   x ≥ 0
//! ```
//! with H symmetric and positive semi-definite. The conditions are x ≥ 0, s = H x − f ≥ 0 and xᵀs = 0. The set of
//! positive xⱼ grows by the most violated condition, and shrinks where an xⱼ would become negative (the active set of
//! Lawson and Hanson, on the normal equations); each step solves H_PP x_P = f_P by a Cholesky factor that grows with
//! the set. Where a candidate depends on the set, it takes the place of one of the set: along the dependence nothing but
//! −fᵀx changes, and it falls. Where no place is free its condition stays violated: by rounding, by as much as a column that
//! counts as dependent may stand off the span of the set, or without limit, since the minimum is −∞.
//! Reference: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.

use taskweave_kernels::{Error, Result};

use super::factor::{DISTANCE, Factor, dot};

/// How far a condition may be violated, relative to the largest number of f.
const TOLERANCE: f64 = 1e-12;

/// What rounding may leave of the conditions, relative to their terms.
const ROUNDING: f64 = 1e-9;

/// What a solver found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// The solution.
    pub x: Vec<f64>,
    /// The largest violation of the conditions of optimality, relative to their terms.
    pub residual: f64,
}

/// argmin ½ xᵀ H x − fᵀ x over x ≥ 0, by an active set: for weightings of one's own. H has to be symmetric and positive
/// semi-definite, best with a diagonal of 1.
///
/// # Errors
/// [`Error::NotConverged`] that names the `method`, with the largest violation, also where there is no minimum;
/// [`Error::Shape`] for an H that does not fit f, [`Error::NonFinite`] for a NaN or an infinity.
///
/// # Example
/// ```
/// use taskweave_loss::weighting::minimum;
/// // The free minimum is (2, −1).
/// let solved = minimum("example", &[vec![1.0, 0.0], vec![0.0, 1.0]], &[2.0, -1.0])?;
/// assert_eq!((solved.x, solved.residual), (vec![2.0, 0.0], 0.0));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn minimum(method: &str, h: &[Vec<f64>], f: &[f64]) -> Result<Solved> {
    let size = f.len();
    if h.len() != size || h.iter().any(|row| row.len() != size) {
        let columns = h.iter().map(Vec::len).find(|n| *n != size).unwrap_or(size);
        return Err(Error::shape("matrix of a minimum", format!("[{size}, {size}]"), &[h.len(), columns]));
    }
    if h.iter().flatten().chain(f).any(|value| !value.is_finite()) {
        return Err(Error::non_finite("problem", method));
    }
    minimum_from(method, h, f, &vec![0.0; size])
}

/// The same, starting from an x ≥ 0 whose positive numbers may be those of the solution.
pub(super) fn minimum_from(method: &str, h: &[Vec<f64>], f: &[f64], start: &[f64]) -> Result<Solved> {
    solve(method, h, f, (start, &Span::default()))
}

/// The same for f = −H v of a v ≥ 0, of which there always is a minimum: the v whose combination of the columns is projected.
/// Columns that depend on others but for rounding count as dependent. Where several at once leave no way to tell, conditions may be
/// violated by as much: the problem with DISTANCE² more on the diagonal, times four, has a minimum that is found.
pub(super) fn projection(method: &str, h: &[Vec<f64>], v: &[f64]) -> Result<Solved> {
    let (f, start): (Vec<f64>, _) = (h.iter().map(|row| -dot(row, v)).collect(), vec![0.0; v.len()]);
    let span = Span { off: DISTANCE, sum: v.iter().sum(), length: length(h, v) };
    solve(method, h, &f, (&start, &span)).or_else(|_| {
        let mut apart = h.to_vec();
        (0..v.len()).for_each(|i| apart[i][i] += 4.0 * DISTANCE * DISTANCE);
        solve(method, &apart, &f, (&start, &span))
    })
}

/// What is known of an f that is a combination of the columns; nothing where a condition that stays violated may mean that there
/// is no minimum.
#[derive(Default)]
struct Span {
    /// How far a column that counts as dependent may stand off the span of others.
    off: f64,
    /// The sum of the weights that combine it, and the length of the combination.
    sum: f64,
    length: f64,
}

impl Span {
    /// How far the condition of a column that counts as dependent may be violated.
    fn slack(&self, h: &[Vec<f64>], x: &[f64]) -> f64 {
        1.1 * self.off * (self.length + length(h, x))
    }
}

fn solve(method: &str, h: &[Vec<f64>], f: &[f64], (start, span): (&[f64], &Span)) -> Result<Solved> {
    let size = f.len();
    let mut x = start.to_vec();
    let mut positive = Factor::new(h);
    for (j, x) in x.iter_mut().enumerate() {
        if *x > 0.0 && !positive.push(j) {
            *x = 0.0;
        }
    }
    settle(f, &mut positive, &mut x);
    // What left for one that depends on it would come back for rounding alone, until something else enters.
    let mut left: Vec<usize> = Vec::new();
    let scale = f.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    // What rounding leaves of a combination that cancels is no violation.
    let limit = TOLERANCE * scale + 8.0 * f64::EPSILON * span.sum;
    let mut iterations = 0;
    for _ in 0..10 * size + 10 {
        let slope = |j: usize| positive.set.iter().map(|&p| h[j][p] * x[p]).sum::<f64>() - f[j];
        let free = (0..size).filter(|j| !positive.set.contains(j) && !left.contains(j));
        let worst = free.map(|j| (j, slope(j))).min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((entering, slope)) = worst.filter(|(_, s)| *s < -limit) else { break };
        iterations += 1;
        let entered = positive.push(entering);
        let other = if entered { None } else { swap(entering, &mut positive, &mut x, span.off) };
        if !entered && other.is_none() && -slope > span.slack(h, &x) {
            break;
        }
        settle(f, &mut positive, &mut x);
        match other {
            Some(other) => left.push(other),
            None if entered && positive.set.contains(&entering) => left.clear(),
            None => left.push(entering),
        }
    }
    let slopes: Vec<f64> = (0..size).map(|j| dot(&h[j], &x) - f[j]).collect();
    let terms = (scale + span.sum + x.iter().sum::<f64>()).max(f64::MIN_POSITIVE);
    let (mut residual, mut explained) = (0.0f64, true);
    for (j, slope) in slopes.iter().enumerate() {
        let violation = if x[j] > 0.0 { slope.abs() } else { -slope };
        residual = residual.max(violation / terms);
        explained &= violation <= ROUNDING * terms
            || !positive.set.contains(&j) && violation <= span.slack(h, &x) && !positive.push(j);
    }
    match explained {
        true => Ok(Solved { x, residual }),
        false => Err(Error::NotConverged { method: method.into(), iterations, residual }),
    }
}

/// ‖Σ xⱼ hⱼ‖ of the columns' vectors.
fn length(h: &[Vec<f64>], x: &[f64]) -> f64 {
    h.iter().zip(x).map(|(row, own)| own * dot(row, x)).sum::<f64>().max(0.0).sqrt()
}

/// Moves x to the minimum over the positive set, which loses what would become negative on the way.
fn settle(f: &[f64], positive: &mut Factor, x: &mut [f64]) {
    while !positive.set.is_empty() {
        let solution = positive.solve(f);
        let pairs = || positive.set.iter().copied().zip(solution.iter().copied());
        if solution.iter().all(|s| *s > 0.0) {
            pairs().for_each(|(p, s)| x[p] = s);
            return;
        }
        let blocking = pairs()
            .filter(|(_, s)| *s <= 0.0)
            .map(|(p, s)| x[p] / (x[p] - s))
            .fold(1.0, |least: f64, step| least.min(if step.is_finite() { step } else { 0.0 }));
        let largest = solution.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
        pairs().for_each(|(p, s)| x[p] += blocking * (s - x[p]));
        let stays: Vec<usize> =
            pairs().filter(|(p, s)| *s > 0.0 || x[*p] > TOLERANCE * largest).map(|(p, _)| p).collect();
        positive.set.iter().filter(|p| !stays.contains(p)).for_each(|&p| x[p] = 0.0);
        positive.keep(&stays);
    }
}

/// Puts one that depends on the set in the place of the one that it brings to 0 first, which is returned; nothing where
/// there is none.
fn swap(entering: usize, positive: &mut Factor, x: &mut [f64], off: f64) -> Option<usize> {
    let parts = positive.solve(&positive.h[entering]);
    let pairs = || positive.set.iter().copied().zip(parts.iter().copied());
    let first = pairs()
        .filter(|(_, part)| *part > ROUNDING.max(10.0 * off))
        .map(|(p, part)| (p, x[p] / part))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let (leaving, most) = first?;
    let moved: Vec<(usize, f64)> = pairs().map(|(p, part)| (p, (x[p] - most * part).max(0.0))).collect();
    moved.into_iter().for_each(|(p, value)| x[p] = value);
    x[leaving] = 0.0;
    let stays: Vec<usize> = positive.set.iter().copied().filter(|p| *p != leaving).collect();
    positive.keep(&stays);
    if positive.push(entering) {
        x[entering] += most;
    }
    Some(leaving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(h: &[Vec<f64>], f: &[f64]) -> Vec<f64> {
        minimum("test", h, f).unwrap().x
    }

    #[test]
    fn a_bound_holds_where_the_free_minimum_is_negative() {
        // Free minimum: (2, −1) with H = I.
        assert_eq!(x(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[2.0, -1.0]), [2.0, 0.0]);
        // Free minimum: H⁻¹ f = (4, −2) / 3; on x₂ = 0 the minimum is x₁ = 1.
        assert_eq!(x(&[vec![1.0, 0.5], vec![0.5, 1.0]], &[1.0, 0.0]), [1.0, 0.0]);
    }

    #[test]
    fn without_a_minimum_there_is_an_error() {
        // x = (1, 1) costs nothing and gains.
        let opposed = [vec![1.0, -1.0], vec![-1.0, 1.0]];
        let error = minimum("dualproj", &opposed, &[1.0, 1.0]).unwrap_err();
        assert!(matches!(&error, Error::NotConverged { method, .. } if method == "dualproj"), "{error}");
    }

    #[test]
    fn of_two_equal_columns_the_one_that_gains_more_is_used() {
        assert_eq!(x(&[vec![1.0, 1.0], vec![1.0, 1.0]], &[0.0, 0.0]), [0.0, 0.0]);
        let x = x(&[vec![4.0, 2.0], vec![2.0, 1.0]], &[4.0, 2.0]);
        assert_eq!(2.0 * x[0] + x[1], 2.0);
    }

    #[test]
    fn two_columns_that_are_opposed_but_for_rounding_bind_like_one_that_is() {
        // Exactly, (0.4, −0.8) would go to (0, −ε′), by weights of some 10⁷ that nothing but rounding asks for.
        let rows = [[1.0, 0.0], [-1.0, -1e-7], [0.6, 0.8]];
        let h: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        let Solved { x, residual } = projection("test", &h, &[1.0, 0.0, -1.0]).unwrap();
        assert!(x.iter().all(|x| *x < 1.0 + 1e-6) && residual < 3e-7, "{x:?}, {residual:e}");
    }

    #[test]
    fn a_singular_matrix_needs_one_of_two_equal_columns() {
        let x = x(&[vec![1.0, 1.0], vec![1.0, 1.0]], &[3.0, 3.0]);
        assert_eq!(x.iter().sum::<f64>(), 3.0);
    }

    #[test]
    fn the_conditions_hold_to_1e_9_from_any_start() {
        let mut rng = taskweave_kernels::Rng::new(0);
        for (size, width) in [(1, 1), (2, 3), (8, 4), (40, 60), (40, 20), (128, 200)] {
            let mut unit = || {
                let row: Vec<f64> = (0..width).map(|_| rng.normal()).collect();
                let norm = dot(&row, &row).sqrt();
                row.into_iter().map(|x| x / norm).collect::<Vec<f64>>()
            };
            let rows: Vec<Vec<f64>> = (0..size).map(|_| unit()).collect();
            let h: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
            let aim = unit();
            let f: Vec<f64> = rows.iter().map(|row| dot(row, &aim)).collect();
            let cold = minimum("test", &h, &f).unwrap();
            let warm = minimum_from("test", &h, &f, &vec![0.1; size]).unwrap();
            assert!(cold.residual <= 1e-9 && warm.residual <= 1e-9, "{} {}", cold.residual, warm.residual);
            let image = |x: &[f64]| h.iter().map(|row| dot(row, x)).collect::<Vec<f64>>();
            for (a, b) in image(&cold.x).iter().zip(image(&warm.x)) {
                assert!((a - b).abs() < 1e-9, "{size} × {width}: {a} and {b}");
            }
        }
    }
}
