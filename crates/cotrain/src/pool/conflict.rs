//! What becomes of several guesses about one sample.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::learner::likeliest;

/// A guess about an unlabeled sample that is not in the pool yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The sample.
    pub sample: usize,
    /// The class, as a number, or the value.
    pub label: f64,
    /// How sure the proposer is, in \[0, 1\] for classes.
    pub confidence: f64,
    /// Who proposes.
    pub by: Vec<String>,
}

impl Proposal {
    /// What one learner's probabilities of a sample say: the most probable class.
    pub(crate) fn likeliest(by: &str, sample: usize, probabilities: &[f64]) -> (usize, Self) {
        let class = likeliest(probabilities);
        let confidence = probabilities[class];
        (class, Self { sample, label: class as f64, confidence, by: vec![by.into()] })
    }

    /// What several learners say alike of a sample, as sure as the least sure of them; nothing where they differ.
    pub(crate) fn unanimous(by: &[String], sample: usize, probabilities: &[&[f64]]) -> Option<(usize, Self)> {
        let class = likeliest(probabilities.first()?);
        if probabilities.iter().any(|row| likeliest(row) != class) {
            return None;
        }
        let confidence = probabilities.iter().map(|row| row[class]).fold(1.0, f64::min);
        Some((class, Self { sample, label: class as f64, confidence, by: by.to_vec() }))
    }
}

/// What becomes of different guesses about one sample. Equal guesses are one, with the highest confidence and all who
/// proposed it.
///
/// # Example
/// ```
/// use taskweave_cotrain::pool::{Conflict, Proposal};
/// let guess = |label, confidence, by: &str| Proposal { sample: 4, label, confidence, by: vec![by.into()] };
/// let guesses = vec![guess(0.0, 0.9, "page"), guess(1.0, 0.8, "links"), guess(1.0, 0.7, "title")];
/// assert!(Conflict::Drop.resolve(guesses.clone()).is_empty());
/// assert_eq!(Conflict::MostConfident.resolve(guesses.clone())[0].label, 0.0);
/// let voted = &Conflict::Vote.resolve(guesses)[0];
/// assert_eq!((voted.label, voted.confidence, voted.by.len()), (1.0, 0.8, 2));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// The sample stays unlabeled.
    #[default]
    Drop,
    /// The most confident guess counts; the sample stays unlabeled where two are equally confident.
    MostConfident,
    /// The guess of the most proposers counts, and of equally many the more confident one; the sample stays unlabeled
    /// where these are equal too.
    Vote,
}

impl Conflict {
    /// At most one proposal per sample, ordered by sample.
    pub fn resolve(self, proposals: Vec<Proposal>) -> Vec<Proposal> {
        let mut samples: BTreeMap<usize, Vec<Proposal>> = BTreeMap::new();
        for proposal in proposals {
            let guesses = samples.entry(proposal.sample).or_default();
            match guesses.iter_mut().find(|guess| guess.label == proposal.label) {
                Some(guess) => {
                    guess.confidence = guess.confidence.max(proposal.confidence);
                    guess.by.extend(proposal.by);
                }
                None => guesses.push(proposal),
            }
        }
        samples.into_values().filter_map(|guesses| self.choose(guesses)).collect()
    }

    fn choose(self, mut guesses: Vec<Proposal>) -> Option<Proposal> {
        let rank = |guess: &Proposal| match self {
            Self::Vote => (guess.by.len(), guess.confidence),
            Self::Drop | Self::MostConfident => (0, guess.confidence),
        };
        guesses.sort_by(|a, b| rank(b).0.cmp(&rank(a).0).then(rank(b).1.total_cmp(&rank(a).1)));
        let tied =
            guesses.get(1).is_some_and(|second| self == Self::Drop || rank(second) == rank(&guesses[0]));
        if tied { None } else { guesses.into_iter().next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(sample: usize, label: f64, confidence: f64) -> Proposal {
        Proposal { sample, label, confidence, by: vec![format!("{label} {confidence}")] }
    }

    #[test]
    fn a_sample_that_two_views_pick_joins_once() {
        let twice = vec![guess(3, 1.0, 0.6), guess(1, 0.0, 0.5), guess(3, 1.0, 0.9)];
        for policy in [Conflict::Drop, Conflict::MostConfident, Conflict::Vote] {
            let found = policy.resolve(twice.clone());
            assert_eq!(
                found.iter().map(|p| (p.sample, p.confidence)).collect::<Vec<_>>(),
                [(1, 0.5), (3, 0.9)]
            );
            assert_eq!(found[1].by.len(), 2);
        }
    }

    #[test]
    fn equals_are_left_unlabeled() {
        let equal = vec![guess(3, 1.0, 0.6), guess(3, 0.0, 0.6)];
        for policy in [Conflict::Drop, Conflict::MostConfident, Conflict::Vote] {
            assert!(policy.resolve(equal.clone()).is_empty());
        }
    }
}
