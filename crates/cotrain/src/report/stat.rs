//! Mean and standard deviation of repeated measurements.

use serde::Serialize;
use taskweave_kernels::{Error, Result};

/// Mean and sample standard deviation of one quantity over the seeds of an experiment.
///
/// ```text
/// mean = Σ xᵢ / n        std = √( Σ (xᵢ − mean)² / (n − 1) ),   0 where n = 1
/// ```
/// One measurement says nothing about the spread; its `std` of 0 is a convention, and texts show it without "±".
///
/// # Example
/// ```
/// use taskweave_cotrain::report::Stat;
/// let stat = Stat::of(&[1.0, 2.0, 3.0])?;
/// assert_eq!((stat.mean, stat.std, stat.n), (2.0, 1.0, 3));
/// assert_eq!(Stat::of(&[5.0])?.std, 0.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stat {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation.
    pub std: f64,
    /// How many measurements there were.
    #[serde(skip)]
    pub n: usize,
}

impl Stat {
    /// The statistics of `samples`.
    ///
    /// # Errors
    /// [`Error::Parameter`] without samples, [`Error::NonFinite`] for a NaN or an infinity, and where the samples
    /// are so large that their statistics overflow.
    pub fn of(samples: &[f64]) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::parameter("samples", "at least one", 0));
        }
        let n = samples.len();
        let mean = samples.iter().sum::<f64>() / n as f64;
        let squares: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
        let stat = Self { mean, std: (squares / n.saturating_sub(1).max(1) as f64).sqrt(), n };
        if stat.is_finite() { Ok(stat) } else { Err(Error::non_finite("a sample", "Stat")) }
    }

    pub(super) fn is_finite(self) -> bool {
        self.mean.is_finite() && self.std.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_spread_divides_by_n_minus_one() {
        // Deviations from 4: −2, 0, 2; squares 4 + 0 + 4 = 8; 8 / 2 = 4.
        assert_eq!(Stat::of(&[2.0, 4.0, 6.0]).unwrap(), Stat { mean: 4.0, std: 2.0, n: 3 });
    }

    #[test]
    fn what_has_no_statistics_is_refused() {
        assert!(matches!(Stat::of(&[]), Err(Error::Parameter { .. })));
        for bad in [f64::NAN, f64::INFINITY, f64::MAX] {
            assert!(matches!(Stat::of(&[bad, -bad]), Err(Error::NonFinite { .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn moving_all_samples_moves_the_mean_alone(samples in prop::collection::vec(-1e3..1e3f64, 1..9), by in -1e3..1e3f64) {
            let moved: Vec<f64> = samples.iter().map(|x| x + by).collect();
            let (a, b) = (Stat::of(&samples).unwrap(), Stat::of(&moved).unwrap());
            prop_assert!((b.mean - a.mean - by).abs() < 1e-9 && (b.std - a.std).abs() < 1e-6);
        }
    }
}
