//! Democratic co-learning: a weighted majority teaches whom it outvotes.
//!
//! Per round, with the Wilson interval [lᵢ, uᵢ] of learner i's accuracy on the given labels and its middle Wᵢ:
//!     x is labeled c where most learners say c and Σ Wᵢ over these is larger than over those that say any other class;
//!     L'ᵢ = such x on which learner i says something else;
//!     i accepts where |Lᵢ ∪ L'ᵢ| (1 − 2 (eᵢ + e'ᵢ) / |Lᵢ ∪ L'ᵢ|)² > |Lᵢ| (1 − 2 eᵢ / |Lᵢ|)²,  e'ᵢ = (1 − mean l) |L'ᵢ|,
//! and then eᵢ grows by e'ᵢ. Ends where nobody accepts. Together, the learners with Wᵢ > ½ say the class of the largest
//! (n + ½) / (n + 1) · W̄, n being the number of them that say it and W̄ their mean W.
//! Cost: one prediction of all samples and one lesson per learner and round.
//! Variants: the Wilson interval instead of the normal one, which has no width at an accuracy of 1; where no Wᵢ is above ½,
//! all vote. Weights are those of the round before the last lesson.
//! Reference: Zhou and Goldman, "Democratic Co-Learning", ICTAI 2004, tables 1 and 2, <https://doi.org/10.1109/ICTAI.2004.48>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Method, Room, Team, Turn, require_classes, require_learners};
use crate::learner::{Answers, Lesson, Matrix, likeliest};
use crate::pool::Pool;

/// Democratic co-learning of three or more learners, which should differ in kind.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `z` | 1.96 | > 0 | half width of the interval in standard deviations: 1.96 for a confidence of .95 |
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session.
#[derive(Debug, Clone)]
pub struct Democratic {
    z: f64,
    citizens: Named<Citizen>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Citizen {
    /// What it has accepted so far.
    taught: BTreeMap<usize, f64>,
    /// How many of these are expected to be wrong.
    errors: f64,
    /// The middle of its interval.
    weight: f64,
    /// Whether it has accepted anything in this round.
    fresh: bool,
}

impl Democratic {
    /// With intervals of `z` standard deviations to each side.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not a finite number > 0.
    pub fn new(z: f64) -> Result<Self> {
        match z.is_finite() && z > 0.0 {
            true => Ok(Self { z, ..Self::default() }),
            false => Err(Error::parameter("z", "a finite number > 0", z)),
        }
    }

    /// The lower end and the middle of the interval of every learner.
    fn intervals(&self, room: &Room<'_>) -> Result<Vec<[f64; 2]>> {
        let labeled: Vec<usize> = room.pool.labeled().keys().copied().collect();
        let said = room.team.predict(room.views, &labeled)?;
        let interval = |said: &Matrix| {
            let labels = room.pool.labeled().values();
            let right =
                said.iter().zip(labels).filter(|(row, label)| likeliest(row) as f64 == **label).count();
            wilson(right as f64, labeled.len() as f64, self.z)
        };
        Ok(said.values().map(interval).collect())
    }
}

impl Default for Democratic {
    fn default() -> Self {
        Self { z: 1.96, citizens: Named::default() }
    }
}

impl Method for Democratic {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        require_learners(team, 3)
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        if self.citizens.is_empty() {
            self.citizens = room.team.members().map(|_, _| Citizen::default());
        }
        let intervals = self.intervals(room)?;
        let weights: Vec<f64> = intervals.iter().map(|[_, middle]| *middle).collect();
        let lower = intervals.iter().map(|[low, _]| low).sum::<f64>() / intervals.len() as f64;
        let open = room.pool.without_given_label();
        let said = room.team.predict(room.views, &open)?;
        let mut offers: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); weights.len()];
        for (place, &sample) in open.iter().enumerate() {
            let votes =
                said.values().map(|said| said.row(place).map(likeliest)).collect::<Result<Vec<_>>>()?;
            let Some(class) = elected(&votes, &weights, room.pool.answers().width()) else { continue };
            let outvoted = offers.iter_mut().zip(&votes).filter(|(_, vote)| **vote != class);
            outvoted.for_each(|(offer, _)| {
                offer.insert(sample, class as f64);
            });
        }
        let labeled = room.pool.labeled().len();
        for ((citizen, offer), weight) in self.citizens.values_mut().zip(offers).zip(weights) {
            citizen.weight = weight;
            citizen.consider(offer, labeled, 1.0 - lower);
        }
        Ok(if self.citizens.values().any(|citizen| citizen.fresh) { Turn::Learn } else { Turn::Over })
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        let Some(citizen) = self.citizens.get(learner) else { return Ok(None) };
        let all = room.pool.labeled().iter().chain(&citizen.taught).map(|(sample, label)| (*sample, *label));
        citizen.fresh.then(|| Lesson::of_labels(room.pool.answers(), all)).transpose()
    }

    /// The class of the weighted majority.
    fn combine(&self, predictions: &Named<Matrix>, answers: Answers) -> Result<Matrix> {
        let weight = |name: &str| self.citizens.get(name).map_or(1.0, |citizen| citizen.weight);
        let mut weights: Vec<f64> = predictions.names().map(weight).collect();
        if !weights.iter().any(|weight| *weight > 0.5) {
            weights.iter_mut().for_each(|weight| *weight = 1.0);
        }
        let rows = predictions.values().next().map_or(0, Matrix::rows);
        let mut said = Vec::with_capacity(rows);
        for row in 0..rows {
            let votes =
                predictions.values().map(|p| p.row(row).map(likeliest)).collect::<Result<Vec<_>>>()?;
            said.push(shares(&votes, &weights, answers.width()));
        }
        Matrix::of_rows(&said)
    }
}

impl Citizen {
    /// Accepts an offer where it is expected to help.
    fn consider(&mut self, mut offer: BTreeMap<usize, f64>, labeled: usize, error: f64) {
        offer.retain(|sample, _| !self.taught.contains_key(sample));
        // Labels of which half are wrong are worth nothing, and more than that no more.
        let quality = |size: f64, errors: f64| size * (1.0 - 2.0 * errors / size).max(0.0).powi(2);
        let size = (labeled + self.taught.len()) as f64;
        let (more, errors) = (offer.len() as f64, self.errors + error * offer.len() as f64);
        self.fresh = more > 0.0 && quality(size + more, errors) > quality(size, self.errors);
        if self.fresh {
            self.taught.append(&mut offer);
            self.errors = errors;
        }
    }
}

impl Stateful for Democratic {
    fn save(&self) -> Result<State> {
        State::of(&self.citizens)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.citizens = state.read("Democratic")?;
        Ok(())
    }
}

/// The class that most learners say, where their weight also outweighs that of any other class.
fn elected(votes: &[usize], weights: &[f64], classes: usize) -> Option<usize> {
    let tally = |class: usize| {
        let those = votes.iter().zip(weights).filter(|(vote, _)| **vote == class);
        those.fold((0usize, 0.0), |(n, sum), (_, weight)| (n + 1, sum + weight))
    };
    let tallies: Vec<(usize, f64)> = (0..classes).map(tally).collect();
    let beats = |a: &(usize, f64), b: &(usize, f64)| a.0 > b.0 && a.1 > b.1;
    (0..classes).find(|&class| {
        tallies.iter().enumerate().all(|(other, tally)| other == class || beats(&tallies[class], tally))
    })
}

/// The value of each class by the learners that vote for it, normalized.
fn shares(votes: &[usize], weights: &[f64], classes: usize) -> Vec<f64> {
    let value = |class: usize| {
        let those = votes.iter().zip(weights).filter(|(vote, weight)| **vote == class && **weight > 0.5);
        let (n, sum) = those.fold((0.0, 0.0), |(n, sum), (_, weight)| (n + 1.0, sum + weight));
        if n > 0.0 { (n + 0.5) / (n + 1.0) * sum / n } else { 0.0 }
    };
    let values: Vec<f64> = (0..classes).map(value).collect();
    let total = values.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    values.into_iter().map(|value| value / total).collect()
}

/// The lower end and the middle of the Wilson interval of a share.
fn wilson(right: f64, n: f64, z: f64) -> [f64; 2] {
    let (p, scale) = (right / n, 1.0 + z * z / n);
    let middle = (p + z * z / (2.0 * n)) / scale;
    let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [middle - half, middle]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_wilson_is_his() {
        // 8 of 10 at z = 1.96: [0.4902, 0.9433].
        let [low, middle] = wilson(8.0, 10.0, 1.96);
        assert!((low - 0.4902).abs() < 1e-4 && (2.0 * middle - low - 0.9433).abs() < 1e-4, "{low} {middle}");
    }

    #[test]
    fn a_majority_needs_weight() {
        assert_eq!(elected(&[0, 0, 1], &[0.5, 0.5, 0.9], 2), Some(0));
        assert_eq!(elected(&[0, 0, 1], &[0.4, 0.4, 0.9], 2), None);
        assert_eq!(elected(&[0, 1, 2], &[0.5, 0.6, 0.9], 3), None);
    }

    #[test]
    fn an_offer_is_accepted_where_the_errors_it_brings_are_few() {
        let offer = |n: usize| (0..n).map(|sample| (sample, 1.0)).collect::<BTreeMap<_, _>>();
        let mut citizen = Citizen::default();
        citizen.consider(offer(10), 10, 0.4); // 20 (1 − 2 · 4 / 20)² = 7.2 < 10
        assert!(!citizen.fresh && citizen.taught.is_empty());
        citizen.consider(offer(10), 10, 0.1); // 20 (1 − 2 / 20)² = 16.2 > 10
        assert!(citizen.fresh && citizen.errors == 1.0);
        citizen.consider(offer(10), 10, 0.1);
        assert!(!citizen.fresh, "nothing new");
    }
}
