//! A preference for every step, drawn from a Dirichlet distribution.
//!
//! With concentrations αᵢ,
//!     rᵢ = gᵢ / Σ gⱼ,   gᵢ ~ Gamma(αᵢ, 1).
//! Small αᵢ give preferences near the corners, large ones near α / Σ α. Logarithms are drawn, log gᵢ = log g(αᵢ + 1) +
//! log(u) / αᵢ, so that a small αᵢ does not underflow to a draw without any preference.
//! Reference: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 2000 (the power of u for α < 1).

use rand_distr::{Distribution, Gamma};
use taskweave_kernels::{Error, Named, Result, Rng};

use super::Preference;
use crate::{Callback, Step, Upcoming};

/// No entry of a preference is below this: methods divide by them.
const LEAST: f64 = 1e-6;

/// Draws a preference for every step, and sets it for the model and for the objective of the step.
///
/// What is drawn depends on the seed and on the number of the step alone: nothing has to be saved, and a resumed training
/// sees the preferences that an uninterrupted one does.
///
/// | name | range | meaning |
/// | --- | --- | --- |
/// | `preference` | | what is set; the model shares it ([`Conditioned`](super::Conditioned)) |
/// | `concentration` | > 0, one per task | α of the Dirichlet distribution |
///
/// # Example
/// ```
/// use taskweave_cotrain::pareto::{DrawPreference, Preference};
/// use taskweave_kernels::{Named, Rng};
/// let preference = Preference::new(["class", "mask"])?;
/// let draw = DrawPreference::new(&preference, Named::new([("class", 1.2), ("mask", 1.2)])?, &Rng::new(0))?;
/// let (first, again) = (draw.at(7)?, draw.at(7)?);
/// assert_eq!(first, again);
/// assert!((first["class"] + first["mask"] - 1.0).abs() < 1e-12);
/// assert_ne!(first, draw.at(8)?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct DrawPreference {
    preference: Preference,
    concentration: Named<f64>,
    rng: Rng,
}

impl DrawPreference {
    /// Draws from the fork `"preference"` of `rng`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a concentration that is not a finite number > 0, [`Error::Unknown`] for a task that is missing
    /// or not known.
    pub fn new(preference: &Preference, concentration: Named<f64>, rng: &Rng) -> Result<Self> {
        let tasks = preference.now();
        concentration.names().try_for_each(|task| tasks.require("task", task).map(drop))?;
        let concentration = tasks.try_map(|task, _| {
            let alpha = *concentration.require("task", task)?;
            match alpha.is_finite() && alpha > 0.0 {
                true => Ok(alpha),
                false => {
                    Err(Error::parameter(format!("concentration of `{task}`"), "a finite number > 0", alpha))
                }
            }
        })?;
        Ok(Self { preference: preference.clone(), concentration, rng: rng.fork("preference") })
    }

    /// The preference of a step: every entry at least 1e-6 before they are divided by their sum.
    ///
    /// # Errors
    /// None: the concentrations have been checked.
    pub fn at(&self, step: u64) -> Result<Named<f64>> {
        let mut rng = self.rng.fork_at(step);
        let logs = self.concentration.try_map(|task, alpha| {
            let gamma = Gamma::new(alpha + 1.0, 1.0)
                .map_err(|e| Error::parameter(format!("concentration of `{task}`"), "one to draw from", e))?;
            // 1 − u is never 0.
            Ok::<_, Error>(gamma.sample(&mut rng).ln() + (1.0 - rng.uniform()).ln() / alpha)
        })?;
        let most = logs.values().fold(f64::NEG_INFINITY, |most, log| most.max(*log));
        let shares = logs.map(|_, log| (log - most).exp());
        let sum: f64 = shares.values().sum();
        let kept = shares.map(|_, share| (share / sum).max(LEAST));
        super::preference::normalized(&kept)
    }
}

impl Callback for DrawPreference {
    fn before_step(&mut self, step: &mut Step, upcoming: &Upcoming<'_>) -> Result<()> {
        self.preference.apply(step, &self.at(upcoming.step)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(alpha: [f64; 3]) -> Vec<Vec<f64>> {
        let preference = Preference::new(["a", "b", "c"]).unwrap();
        let concentration = Named::new(["a", "b", "c"].into_iter().zip(alpha)).unwrap();
        let draw = DrawPreference::new(&preference, concentration, &Rng::new(1)).unwrap();
        (0..4000).map(|step| draw.at(step).unwrap().values().copied().collect()).collect()
    }

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        for alpha in [[1.0, 1.0, 1.0], [0.3, 0.6, 2.1], [20.0, 10.0, 10.0]] {
            let (draws, total) = (draw(alpha), alpha.iter().sum::<f64>());
            for (i, alpha) in alpha.iter().enumerate() {
                let expected = alpha / total;
                let mean = draws.iter().map(|r| r[i]).sum::<f64>() / 4000.0;
                let variance = draws.iter().map(|r| (r[i] - expected).powi(2)).sum::<f64>() / 4000.0;
                let spread = expected * (1.0 - expected) / (total + 1.0);
                assert!((mean - expected).abs() < 4.0 * (spread / 4000.0).sqrt(), "{mean} {expected}");
                assert!((variance / spread - 1.0).abs() < 0.15, "{variance} {spread}");
            }
        }
    }

    #[test]
    fn tiny_and_huge_concentrations_give_preferences() {
        for alpha in [[1e-12, 1e-12, 1e-12], [1e12, 1.0, 1e-12]] {
            for r in draw(alpha) {
                assert!(r.iter().all(|r| *r > 0.0) && (r.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{r:?}");
            }
        }
    }

    #[test]
    fn bad_concentrations_are_refused() {
        let preference = Preference::new(["a"]).unwrap();
        let of = |task: &str, alpha: f64| {
            DrawPreference::new(&preference, Named::new([(task, alpha)]).unwrap(), &Rng::new(0))
        };
        assert!(matches!(of("b", 1.0), Err(Error::Unknown { .. })));
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(of("a", alpha), Err(Error::Parameter { .. })), "{alpha}");
        }
    }
}
