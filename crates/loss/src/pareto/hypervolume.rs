//! Hypervolume: how much of the space below a reference the points dominate.
//!
//! Given points p and a reference r, all p ≤ r, the volume of ∪ₚ [p, r]. Points are taken from the worst last objective to
//! the best. What a point adds to those behind it is a slab of thickness r_m − p_m over
//!     [p, r] less what the points behind it cover of it,
//! both in the first m − 1 objectives, where a covering point q counts as max(p, q). The same again for these, without the
//! ones that are dominated there; a set without objectives has volume 1 if it has a point.
//! Cost: n² for two objectives, and at most a factor n for each one more; in practice much less, since few points are left
//! once they are limited to one. Exact up to rounding for any number of objectives.
//! Variants: points beyond the reference are refused; much code lets them count for nothing, which hides a reference that
//! is too close.
//! Reference: Zitzler and Thiele, "Multiobjective Evolutionary Algorithms", IEEE Transactions on Evolutionary Computation
//! 1999 (the measure); While, Bradstreet and Barone, "A Fast Way of Calculating Exact Hypervolumes" (WFG), IEEE Transactions
//! on Evolutionary Computation 2012, <https://doi.org/10.1109/TEVC.2010.2077298> (limiting the others to one point).

use taskweave_kernels::{Error, Result};

use super::check;
use super::dominance::dominates;

/// The volume between the points and a reference; 0 without points. Higher is better.
///
/// # Errors
/// [`Error::Parameter`] for a reference without objectives or not finite, and for a point beyond it in an objective;
/// [`Error::Shape`] for a point of another length, [`Error::NonFinite`] for one that is not finite or a volume that is not.
///
/// # Example
/// ```
/// use taskweave_loss::pareto::hypervolume;
/// // Two rectangles, 3 × 1 and 1 × 3, with a square in common.
/// assert_eq!(hypervolume(&[[1.0, 3.0], [3.0, 1.0]], &[4.0, 4.0])?, 5.0);
/// assert_eq!(hypervolume(&[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], &[2.0, 2.0, 3.0])?, 12.0);
/// assert!(hypervolume(&[[1.0, 5.0]], &[4.0, 4.0]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn hypervolume(points: &[impl AsRef<[f64]>], reference: &[f64]) -> Result<f64> {
    if reference.is_empty() || reference.iter().any(|x| !x.is_finite()) {
        let found = format!("{reference:?}");
        return Err(Error::parameter("reference of the hypervolume", "a finite number per objective", found));
    }
    check(points, reference.len())?;
    for (i, point) in points.iter().map(AsRef::as_ref).enumerate() {
        if let Some(m) = (0..reference.len()).find(|&m| point[m] > reference[m]) {
            let name = format!("objective {m} of point {i}");
            return Err(Error::parameter(name, format!("at most the reference, {}", reference[m]), point[m]));
        }
    }
    let volume = volume(points.iter().map(|point| point.as_ref().to_vec()).collect(), reference);
    if volume.is_finite() { Ok(volume) } else { Err(Error::non_finite("hypervolume", "the points")) }
}

fn volume(mut points: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    let Some((&limit, rest)) = reference.split_last() else {
        return if points.is_empty() { 0.0 } else { 1.0 };
    };
    let m = rest.len();
    points.sort_by(|a, b| b[m].total_cmp(&a[m]));
    let slab = |i: usize| {
        let own = &points[i][..m];
        let limited = points[i + 1..].iter().map(|q| own.iter().zip(q).map(|(p, q)| p.max(*q)).collect());
        let whole: f64 = own.iter().zip(rest).map(|(p, r)| r - p).product();
        (limit - points[i][m]) * (whole - volume(best(limited.collect()), rest))
    };
    (0..points.len()).map(slab).sum()
}

/// The points that none of the others dominates or equals.
fn best(points: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut kept: Vec<Vec<f64>> = Vec::new();
    for point in points {
        if !kept.iter().any(|k| dominates(k, &point) || *k == point) {
            kept.retain(|k| !dominates(&point, k));
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Σ over subsets of (−1)^(n+1) · volume of the common box.
    fn inclusion_exclusion(points: &[Vec<f64>], reference: &[f64]) -> f64 {
        let common = |mask: usize| -> f64 {
            let chosen = || points.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1);
            let edge =
                |m: usize| reference[m] - chosen().map(|(_, p)| p[m]).fold(f64::NEG_INFINITY, f64::max);
            (0..reference.len()).map(edge).product()
        };
        let sign = |mask: usize| if mask.count_ones() % 2 == 1 { 1.0 } else { -1.0 };
        (1..1usize << points.len()).map(|mask| sign(mask) * common(mask)).sum()
    }

    proptest! {
        #[test]
        fn it_equals_inclusion_and_exclusion(
            objectives in 1usize..6,
            values in prop::collection::vec(prop_oneof![0.0..1.0f64, Just(0.5), Just(1.0)], 40),
            count in 0usize..9,
        ) {
            let points: Vec<Vec<f64>> = values.chunks_exact(objectives).take(count).map(<[f64]>::to_vec).collect();
            let reference = vec![1.0; objectives];
            let (found, expected) = (hypervolume(&points, &reference).unwrap(), inclusion_exclusion(&points, &reference));
            prop_assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }

        #[test]
        fn neither_order_nor_dominated_points_matter_and_a_better_point_never_lowers_it(
            values in prop::collection::vec(0.0..1.0f64, 30), by in 0.0..0.5f64,
        ) {
            let mut points: Vec<Vec<f64>> = values.chunks_exact(3).map(<[f64]>::to_vec).collect();
            let whole = hypervolume(&points, &[1.0; 3]).unwrap();
            points.reverse();
            prop_assert!((hypervolume(&points, &[1.0; 3]).unwrap() - whole).abs() < 1e-12);
            let kept = crate::pareto::non_dominated(&points).unwrap();
            let front: Vec<Vec<f64>> = kept.iter().map(|&i| points[i].clone()).collect();
            prop_assert!((hypervolume(&front, &[1.0; 3]).unwrap() - whole).abs() < 1e-12);
            points[0][1] *= by;
            prop_assert!(hypervolume(&points, &[1.0; 3]).unwrap() >= whole - 1e-12);
        }
    }

    #[test]
    fn closed_forms() {
        // The corners of a simplex: together they miss the unit cube alone.
        for n in 1..=6usize {
            let points: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
            let found = hypervolume(&points, &vec![2.0; n]).unwrap();
            assert_eq!(found, 2f64.powi(n as i32) - 1.0, "{n}");
        }
        // The staircase below x + y = 1 at n steps: ½ (1 − 1/n).
        let n = 200;
        let line: Vec<[f64; 2]> =
            (0..=n).map(|i| [f64::from(i) / f64::from(n), 1.0 - f64::from(i) / f64::from(n)]).collect();
        assert!((hypervolume(&line, &[1.0, 1.0]).unwrap() - 0.5 * (1.0 - 1.0 / f64::from(n))).abs() < 1e-12);
        assert_eq!(hypervolume(&[] as &[[f64; 2]], &[1.0, 1.0]).unwrap(), 0.0);
    }

    #[test]
    fn a_hundred_points_of_five_objectives_have_the_volume_that_drawn_points_show() {
        let mut rng = taskweave_kernels::Rng::new(0);
        let point = |rng: &mut taskweave_kernels::Rng| {
            let x: Vec<f64> = (0..5).map(|_| rng.normal().abs()).collect();
            let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            x.iter().map(|x| 1.0 - x / length).collect::<Vec<f64>>()
        };
        let points: Vec<Vec<f64>> = (0..100).map(|_| point(&mut rng)).collect();
        let found = hypervolume(&points, &[1.0; 5]).unwrap();
        let covered = |x: &[f64]| points.iter().any(|point| point.iter().zip(x).all(|(p, x)| p <= x));
        let hits = (0..40_000).filter(|_| covered(&[0.0; 5].map(|_: f64| rng.uniform()))).count();
        let spread = (found * (1.0 - found) / 40_000.0).sqrt();
        assert!((hits as f64 / 40_000.0 - found).abs() < 4.0 * spread, "{found}, {hits} of 40000");
    }

    #[test]
    fn what_has_no_volume_is_refused() {
        let error =
            |points: &[Vec<f64>], reference: &[f64]| hypervolume(points, reference).unwrap_err().to_string();
        assert_eq!(
            error(&[vec![0.0, 0.0], vec![0.5, 1.5]], &[1.0, 1.0]),
            "objective 1 of point 1: expected at most the reference, 1, found 1.5"
        );
        assert_eq!(error(&[vec![0.0, f64::NAN]], &[1.0, 1.0]), "an objective of `point 0` is not finite");
        assert!(error(&[vec![0.0]], &[1.0, 1.0]).contains("expected shape [2]"));
        assert!(error(&[], &[]).contains("a finite number per objective"));
        assert!(error(&[], &[f64::INFINITY]).contains("a finite number per objective"));
        assert!(error(&[vec![-1e200, -1e200]], &[0.0, 0.0]).contains("not finite"));
    }
}
