//! The nearest point of a simplex.
//!
//! The projection of v onto {x ≥ 0, Σ x = s} is
//!     xᵢ = max(vᵢ − τ, 0)
//! with the one τ that gives the sum: with v in falling order, τ = (v₁ + … + vⱼ − s) / j for the largest j with vⱼ > τ.
//! Exact up to rounding; costs one sort.
//! Reference: Held, Wolfe and Crowder, "Validation of subgradient optimization", Mathematical Programming 1974; Duchi et
//! al., "Efficient Projections onto the ℓ₁-Ball for Learning in High Dimensions", ICML 2008.

use taskweave_kernels::{Error, Result};

use crate::parameter;

/// The point of {x ≥ 0, Σ x = `sum`} that is nearest to `values`.
///
/// # Errors
/// [`Error::Parameter`] for no values, a value that is not finite, or a `sum` that is negative or not finite.
///
/// # Example
/// ```
/// use taskweave_loss::simplex_projection;
/// // 0.2 too much in all, taken from each alike; the third would fall below 0, so the others give its share.
/// assert_eq!(simplex_projection(&[0.75, 0.5, -1.0], 1.0)?, [0.625, 0.375, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn simplex_projection(values: &[f64], sum: f64) -> Result<Vec<f64>> {
    parameter::non_negative("sum of a projection", sum)?;
    values.iter().try_for_each(|value| parameter::finite("value to project", *value).map(drop))?;
    let most = values.iter().copied().reduce(f64::max);
    let most = most.ok_or_else(|| Error::parameter("values to project", "at least one", "none"))?;
    // Relative to the largest, so that large values do not drown the sum.
    let mut falling: Vec<f64> = values.iter().map(|value| value - most).collect();
    falling.sort_by(|a, b| b.total_cmp(a));
    let (mut above, mut threshold) = (0.0, -sum);
    for (count, value) in falling.iter().enumerate() {
        if count > 0 && *value <= threshold {
            break;
        }
        above += value;
        threshold = (above - sum) / (count + 1) as f64;
    }
    Ok(values.iter().map(|value| (value - most - threshold).max(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn points_of_the_simplex_stay() {
        assert_eq!(simplex_projection(&[0.25, 0.75, 0.0], 1.0).unwrap(), [0.25, 0.75, 0.0]);
        assert_eq!(simplex_projection(&[7.0], 2.0).unwrap(), [2.0]);
        assert_eq!(simplex_projection(&[3.0, -2.0], 0.0).unwrap(), [0.0, 0.0]);
        assert_eq!(simplex_projection(&[1e300, -1e300], 1.0).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn bad_input_is_refused_by_name() {
        for (values, sum, name) in [
            (vec![], 1.0, "values to project"),
            (vec![f64::NAN], 1.0, "value to project"),
            (vec![0.0, f64::INFINITY], 1.0, "value to project"),
            (vec![1.0], -1.0, "sum of a projection"),
            (vec![1.0], f64::NAN, "sum of a projection"),
        ] {
            let error = simplex_projection(&values, sum).unwrap_err();
            assert!(matches!(&error, Error::Parameter { name: found, .. } if found == name), "{error}");
        }
    }

    /// No point of a fine grid is nearer.
    #[test]
    fn a_grid_has_no_nearer_point() {
        let distance = |x: &[f64], v: &[f64]| x.iter().zip(v).map(|(x, v)| (x - v).powi(2)).sum::<f64>();
        for v in [[0.3, 0.9, -0.4], [2.0, 1.9, 1.8], [-3.0, -1.0, -2.5], [0.1, 0.1, 0.1]] {
            let best = distance(&simplex_projection(&v, 1.0).unwrap(), &v);
            let points = (0..=100).flat_map(|a| (0..=100 - a).map(move |b| [a, b, 100 - a - b]));
            for point in points.map(|p| p.map(|part| f64::from(part) / 100.0)) {
                assert!(best <= distance(&point, &v) + 1e-12, "{point:?} is nearer to {v:?}");
            }
        }
    }

    proptest! {
        /// The conditions of the minimum: one τ with xᵢ = vᵢ − τ where xᵢ > 0, and vᵢ ≤ τ where xᵢ = 0.
        #[test]
        fn the_conditions_of_the_minimum_hold(values in prop::collection::vec(-50.0..50.0f64, 1..40), sum in 0.01..30.0f64) {
            let x = simplex_projection(&values, sum).unwrap();
            prop_assert!(x.iter().all(|x| *x >= 0.0));
            prop_assert!((x.iter().sum::<f64>() - sum).abs() < 1e-11);
            let taken: Vec<f64> = values.iter().zip(&x).filter(|(_, x)| **x > 0.0).map(|(v, x)| v - x).collect();
            prop_assert!(taken.iter().all(|t| (t - taken[0]).abs() < 1e-11));
            prop_assert!(values.iter().zip(&x).all(|(v, x)| *x > 0.0 || *v <= taken[0] + 1e-11));
        }
    }
}
