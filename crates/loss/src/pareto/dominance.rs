//! Dominance: a point is better than another one if no objective is higher and one is lower.

use taskweave_kernels::Result;

use super::check;

/// Whether no objective of `a` is higher than that of `b` and one is lower.
///
/// # Example
/// ```
/// use taskweave_loss::pareto::dominates;
/// assert!(dominates(&[1.0, 2.0], &[1.0, 3.0]));
/// assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
/// assert!(!dominates(&[0.0, 2.0], &[1.0, 1.0]));
/// ```
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// The places of the points that no other point dominates, in order; of equal points the first.
///
/// # Errors
/// [`Error::Shape`](taskweave_kernels::Error::Shape) for points of different lengths or without objectives,
/// [`Error::NonFinite`](taskweave_kernels::Error::NonFinite) for a NaN or an infinity.
///
/// # Example
/// ```
/// use taskweave_loss::pareto::non_dominated;
/// let points = [[3.0, 1.0], [2.0, 2.0], [3.0, 2.0], [1.0, 3.0], [2.0, 2.0]];
/// assert_eq!(non_dominated(&points)?, [0, 1, 3]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn non_dominated(points: &[impl AsRef<[f64]>]) -> Result<Vec<usize>> {
    check(points, points.first().map_or(1, |point| point.as_ref().len()))?;
    let points: Vec<&[f64]> = points.iter().map(AsRef::as_ref).collect();
    let is_kept = |&i: &usize| {
        let worse = |j: usize| dominates(points[j], points[i]) || j < i && points[j] == points[i];
        !(0..points.len()).any(worse)
    };
    Ok((0..points.len()).filter(is_kept).collect())
}
