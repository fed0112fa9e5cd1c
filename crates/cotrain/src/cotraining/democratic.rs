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

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Method, Room, Team, Turn, require_classes, require_learners};
use crate::learner::{Answers, Lesson, Matrix, likeliest};
use crate::pool::{Pool, Proposal};

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

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Citizen {
    /// How many of the guesses that it has accepted are expected to be wrong.
    errors: f64,
    /// The middle of its interval.
    weight: f64,
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
        let offers = offers(room, &weights)?;
        let (labeled, mut turn) = (room.pool.labeled().len(), Turn::Over);
        for (((name, citizen), mut offer), weight) in self.citizens.iter_mut().zip(offers).zip(weights) {
            let taught: BTreeSet<usize> = room.pool.guesses(name).map(|(sample, _)| sample).collect();
            offer.retain(|proposal| !taught.contains(&proposal.sample));
            citizen.weight = weight;
            if citizen.accepts(offer.len(), labeled + taught.len(), 1.0 - lower) {
                room.pool.add(&offer, room.round, Some(name))?;
                turn = Turn::Learn;
            }
        }
        Ok(turn)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.is_new(learner, room.round).then(|| room.pool.lesson(learner)).transpose()
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
    /// Whether an offer, of which a share `error` is wrong, is expected to help; if so, it counts from now on.
    fn accepts(&mut self, offered: usize, known: usize, error: f64) -> bool {
        // Labels of which half are wrong are worth nothing, and more than that no more.
        let quality = |size: f64, errors: f64| size * (1.0 - 2.0 * errors / size).max(0.0).powi(2);
        let (size, more) = (known as f64, offered as f64);
        let errors = self.errors + error * more;
        let accepts = offered > 0 && quality(size + more, errors) > quality(size, self.errors);
        if accepts {
            self.errors = errors;
        }
        accepts
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

/// What every learner is offered: the samples on which a weighted majority outvotes it, by the learners of this majority.
/// They are as sure as their share of the weight.
fn offers(room: &Room<'_>, weights: &[f64]) -> Result<Vec<Vec<Proposal>>> {
    let open = room.pool.without_given_label();
    let said = room.team.predict(room.views, &open)?;
    let mut offers: Vec<Vec<Proposal>> = vec![Vec::new(); weights.len()];
    for (place, &sample) in open.iter().enumerate() {
        let votes = said.values().map(|said| said.row(place).map(likeliest)).collect::<Result<Vec<_>>>()?;
        let Some(class) = elected(&votes, weights, room.pool.answers().width()) else { continue };
        let winners = || said.names().zip(weights).zip(&votes).filter(|(_, vote)| **vote == class);
        let share = winners().map(|((_, weight), _)| weight).sum::<f64>() / weights.iter().sum::<f64>();
        let by = winners().map(|((name, _), _)| name.to_string()).collect();
        let proposal = Proposal { sample, label: class as f64, confidence: share, by };
        let outvoted = offers.iter_mut().zip(&votes).filter(|(_, vote)| **vote != class);
        outvoted.for_each(|(offer, _)| offer.push(proposal.clone()));
    }
    Ok(offers)
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
        let mut citizen = Citizen::default();
        assert!(!citizen.accepts(10, 10, 0.4)); // 20 (1 − 2 · 4 / 20)² = 7.2 < 10
        assert_eq!(citizen.errors, 0.0);
        assert!(citizen.accepts(10, 10, 0.1)); // 20 (1 − 2 / 20)² = 16.2 > 10
        assert_eq!(citizen.errors, 1.0);
        assert!(!citizen.accepts(0, 20, 0.1), "nothing new");
    }
}
