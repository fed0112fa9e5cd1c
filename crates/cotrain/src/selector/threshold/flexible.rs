//! FlexMatch: a threshold per class, low where the network still learns the class.
//!
//! With σ(c) the number of unlabeled samples whose newest prediction that has reached τ was of class c, and N the
//! number of all unlabeled samples,
//!     β(c) = σ(c) / max(max_k σ(k), N − Σ_k σ(k)),   τ(c) = τ · β(c) / (2 − β(c)).
//! The second entry of the maximum keeps thresholds low while most samples have not been predicted surely yet.
//! σ is updated after the batch is judged. Before the first sure prediction all thresholds are 0.
//! Cost: one class per sample, in memory and in checkpoints.
//! Reference: Zhang et al., "FlexMatch", NeurIPS 2021, <https://arxiv.org/abs/2110.08263>, eqs. 5–11.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Probabilities, Threshold};
use crate::range;

/// Takes a prediction whose probability reaches the threshold of its class, which rises with the class' progress.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `samples` | – | ≥ 1 | how many unlabeled samples there are |
/// | `tau` | 0.95 | ≥ 0 | the threshold of a class that is learned |
///
/// # Example
/// Two of three samples have reached 0.9 as class 0, none as class 1, whose threshold is 0 therefore.
/// ```
/// use taskweave_cotrain::selector::threshold::{Flexible, Probabilities, Threshold};
/// let mut threshold = Flexible::new(3, 0.9)?;
/// threshold.select(&[0, 1], &Probabilities::new(2, vec![0.95, 0.05, 0.92, 0.08])?)?;
/// assert_eq!(threshold.of_class(0), 0.9);
/// assert_eq!(threshold.of_class(1), 0.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Flexible {
    samples: usize,
    tau: f64,
    /// By sample, the class of its newest prediction that has reached τ.
    #[serde(skip)]
    learned: BTreeMap<usize, u32>,
}

impl Flexible {
    /// For so many unlabeled samples.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no samples and for a `tau` that is negative or not finite.
    pub fn new(samples: usize, tau: f64) -> Result<Self> {
        if samples == 0 {
            return Err(Error::parameter("unlabeled samples", "at least one", 0));
        }
        range::not_negative("tau", tau)?;
        Ok(Self { samples, tau, learned: BTreeMap::new() })
    }

    /// The threshold of a class, as it stands.
    pub fn of_class(&self, class: u32) -> f64 {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        self.learned.values().for_each(|class| *counts.entry(*class).or_default() += 1);
        let unsure = self.samples.saturating_sub(self.learned.len());
        let most = counts.values().copied().max().unwrap_or(0).max(unsure);
        let progress = counts.get(&class).copied().unwrap_or(0) as f64 / most.max(1) as f64;
        self.tau * progress / (2.0 - progress)
    }
}

impl Threshold for Flexible {
    fn select(&mut self, samples: &[usize], p: &Probabilities) -> Result<Vec<bool>> {
        let best = p.best();
        if best.len() != samples.len() {
            let expected = format!("one per sample, {}", samples.len());
            return Err(Error::parameter("predictions for a threshold by sample", expected, best.len()));
        }
        let thresholds: Vec<f64> = (0..p.classes() as u32).map(|class| self.of_class(class)).collect();
        let taken =
            best.iter().map(|(class, confidence)| *confidence >= thresholds[*class as usize]).collect();
        for (sample, (class, _)) in samples.iter().zip(&best).filter(|(_, (_, p))| *p >= self.tau) {
            self.learned.insert(*sample, *class);
        }
        Ok(taken)
    }
}

impl Stateful for Flexible {
    fn save(&self) -> Result<State> {
        State::of(&self.learned.iter().collect::<Vec<_>>())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.learned = state.read::<Vec<(usize, u32)>>("flexible threshold")?.into_iter().collect();
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    samples: usize,
    #[serde(default = "usual")]
    tau: f64,
}

fn usual() -> f64 {
    0.95
}

impl TryFrom<Fields> for Flexible {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.samples, fields.tau)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_follow_the_counts_of_sure_samples() {
        let mut threshold = Flexible::new(8, 0.8).unwrap();
        let p = Probabilities::new(2, [[0.9, 0.1], [0.85, 0.15], [0.1, 0.9], [0.6, 0.4]].concat()).unwrap();
        // Nothing is known yet: everything is taken.
        assert_eq!(threshold.select(&[0, 1, 2, 3], &p).unwrap(), [true; 4]);
        // σ = (2, 1), five samples are unsure: β = (2/5, 1/5).
        assert!((threshold.of_class(0) - 0.8 * 0.4 / 1.6).abs() < 1e-15);
        assert!((threshold.of_class(1) - 0.8 * 0.2 / 1.8).abs() < 1e-15);
        // Sample 0 changes its class, and an unsure prediction changes nothing.
        let p = Probabilities::new(2, vec![0.1, 0.9, 0.4, 0.6]).unwrap();
        threshold.select(&[0, 1], &p).unwrap();
        assert!((threshold.of_class(1) - 0.8 * 0.4 / 1.6).abs() < 1e-15);
        assert!((threshold.of_class(0) - 0.8 * 0.2 / 1.8).abs() < 1e-15);
    }

    #[test]
    fn bad_parameters_and_maps_are_refused() {
        assert!(matches!(Flexible::new(0, 0.9), Err(Error::Parameter { .. })));
        assert!(matches!(Flexible::new(1, f64::NAN), Err(Error::Parameter { .. })));
        let p = Probabilities::new(1, vec![1.0; 4]).unwrap();
        assert!(matches!(Flexible::new(2, 0.9).unwrap().select(&[0, 1], &p), Err(Error::Parameter { .. })));
    }
}
