//! Tri-training: two that agree teach the third.
//!
//! Three learners start from bootstrap samples of the labeled samples L. Per round, with i taught by j and k:
//!     eᵢ = the share of labeled samples on which j and k agree and are wrong, among those on which they agree
//!     Lᵢ = the unlabeled samples on which j and k agree, with their label
//!     accept where eᵢ < e'ᵢ and eᵢ |Lᵢ| < e'ᵢ l'ᵢ; where Lᵢ is too large for the second, draw ⌈e'ᵢ l'ᵢ / eᵢ − 1⌉ of it.
//! Then i learns L ∪ Lᵢ, and e'ᵢ, l'ᵢ become eᵢ, |Lᵢ|. Starts from e'ᵢ = ½, l'ᵢ = ⌊eᵢ / (e'ᵢ − eᵢ) + 1⌋; ends where none accepts.
//! Together the three say the class of the majority. Cost: one prediction of all samples and one lesson per learner and
//! round. The pool holds for each learner the Lᵢ of its last lesson. Guarantees: Lᵢ is drawn anew in each round, so that an
//! early error is not kept.
//! Variants: where j and k agree on no labeled sample, eᵢ = ½, and nothing is accepted. Errors are counts over counts here, so
//! that no rounding moves a floor or a comparison.
//! Reference: Zhou and Li, "Tri-Training: Exploiting Unlabeled Data Using Three Classifiers", TKDE 17, 2005, figure 1,
//! <https://doi.org/10.1109/TKDE.2005.186>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng};

use super::{Method, Room, Team, Turn, require_classes, vote};
use crate::learner::{Answers, Lesson, Matrix};
use crate::pool::{Pool, Proposal};
use crate::remembers::remembers;

/// Tri-training; no parameters. The three learners may see one view or several.
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; this one takes three learners.
#[derive(Debug, Clone, Default)]
pub struct TriTraining {
    students: [Student; 3],
}

/// What is remembered of a learner's last lesson.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Student {
    error: Share,
    size: usize,
}

/// A share of samples: so many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    wrong: usize,
    of: usize,
}

impl Default for Share {
    /// A half.
    fn default() -> Self {
        Self { wrong: 1, of: 2 }
    }
}

impl Method for TriTraining {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        match team.members().len() {
            3 => Ok(()),
            other => Err(Error::parameter("learners", "three", other)),
        }
    }

    /// As many labeled samples as there are, drawn with replacement; drawn again until two classes are among them.
    fn start(&self, room: &Room<'_>, learner: &str) -> Result<Lesson> {
        let labeled: Vec<(usize, f64)> = room.pool.labeled().iter().map(|(s, label)| (*s, *label)).collect();
        let mut rng = room.rng.fork("bootstrap").fork(learner);
        loop {
            let drawn: Vec<_> = labeled.iter().map(|_| labeled[rng.below(labeled.len())]).collect();
            if drawn.iter().any(|(_, label)| *label != drawn[0].1) {
                return Lesson::of_labels(room.pool.answers(), drawn);
            }
        }
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        let labeled: Vec<usize> = room.pool.labeled().keys().copied().collect();
        let open = room.pool.without_given_label();
        let (known, guessed) =
            (room.team.predict(room.views, &labeled)?, room.team.predict(room.views, &open)?);
        let mut turn = Turn::Over;
        for (place, student) in self.students.iter_mut().enumerate() {
            let Some(name) = room.team.members().names().nth(place) else { continue };
            let error = error(&agreed(&known, place, &labeled)?, room.pool.labeled());
            let offer = agreed(&guessed, place, &open)?;
            if let Some(taught) = student.consider(error, offer, &room.rng.fork_at(place as u64)) {
                room.pool.replace(&taught, room.round, name)?;
                turn = Turn::Learn;
            }
        }
        Ok(turn)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.is_new(learner, room.round).then(|| room.pool.lesson(learner)).transpose()
    }

    /// The class of the majority.
    fn combine(&self, predictions: &Named<Matrix>, answers: Answers) -> Result<Matrix> {
        vote::majority(predictions, &vec![1.0; predictions.len()], answers.width())
    }
}

impl Student {
    /// What is accepted of that which the other two have to teach: all or some of it, or nothing.
    fn consider(&mut self, error: Share, mut offer: Vec<Proposal>, rng: &Rng) -> Option<Vec<Proposal>> {
        // Over the common denominator of both errors.
        let (now, before) = (error.over(self.error), self.error.over(error));
        if now >= before || offer.is_empty() {
            return None;
        }
        if self.size == 0 {
            self.size = (now / (before - now) + 1) as usize;
        }
        if self.size >= offer.len() {
            return None;
        }
        let allowed = before * self.size as u128;
        if now * offer.len() as u128 >= allowed {
            if self.size as u128 * (before - now) <= now {
                return None;
            }
            rng.fork("subsample").shuffle(&mut offer);
            offer.truncate((allowed.div_ceil(now) - 1) as usize);
        }
        (self.error, self.size) = (error, offer.len());
        Some(offer)
    }
}

impl Share {
    /// Its numerator where the denominator is the product of both.
    fn over(self, other: Self) -> u128 {
        self.wrong as u128 * other.of as u128
    }
}

remembers!(TriTraining, students);

/// The samples on which the two learners other than the one at `place` agree, as what they propose together.
fn agreed(said: &Named<Matrix>, place: usize, samples: &[usize]) -> Result<Vec<Proposal>> {
    let others: Vec<(&str, &Matrix)> =
        said.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, said)| said).collect();
    let by: Vec<String> = others.iter().map(|(name, _)| name.to_string()).collect();
    let mut agreed = Vec::new();
    for (row, &sample) in samples.iter().enumerate() {
        let rows = others.iter().map(|(_, said)| said.row(row)).collect::<Result<Vec<_>>>()?;
        agreed.extend(Proposal::unanimous(&by, sample, &rows).map(|(_, proposal)| proposal));
    }
    Ok(agreed)
}

/// The share of the labeled samples that have been proposed wrongly; ½ where none has been proposed.
fn error(proposed: &[Proposal], labeled: &BTreeMap<usize, f64>) -> Share {
    let wrong = proposed.iter().filter(|one| labeled.get(&one.sample) != Some(&one.label)).count();
    if proposed.is_empty() { Share::default() } else { Share { wrong, of: proposed.len() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(n: usize) -> Vec<Proposal> {
        let proposal = |sample| Proposal { sample, label: 0.0, confidence: 1.0, by: Vec::new() };
        (0..n).map(proposal).collect()
    }

    #[test]
    fn a_student_accepts_while_the_expected_number_of_errors_falls() {
        let mut student = Student::default();
        let mut accepted = |wrong, of, n| {
            student.consider(Share { wrong, of }, offer(n), &Rng::new(0)).map(|taken| taken.len())
        };
        // l' = ⌊0.1 / 0.4 + 1⌋ = 1; 0.1 · 20 ≥ 0.5 · 1, and 1 > 0.25: ⌈0.5 / 0.1 − 1⌉ = 4 of them.
        assert_eq!(accepted(1, 10, 20), Some(4));
        assert_eq!(accepted(1, 10, 20), None, "the error has not fallen");
        assert_eq!(accepted(1, 20, 7), Some(7), "0.05 · 7 < 0.1 · 4");
        assert_eq!(accepted(1, 25, 7), None, "no more samples than before");
        assert_eq!(accepted(0, 25, 8), Some(8));
        assert_eq!(accepted(0, 25, 99), None, "an error of 0 cannot fall");
    }

    #[test]
    fn no_rounding_moves_the_size_that_a_student_starts_from() {
        // l' = ⌊(3/7) / (1/14) + 1⌋ = 7; in f64 the quotient is a hair below 6.
        let first = |wrong, of, n| {
            let mut student = Student::default();
            student.consider(Share { wrong, of }, offer(n), &Rng::new(0)).map(|taken| taken.len())
        };
        assert_eq!(first(3, 7, 7), None, "no more than l'");
        assert_eq!(first(3, 7, 8), Some(8), "3/7 · 8 < ½ · 7");
        // 3/7 · 9 ≥ ½ · 7, and 7 > 6: ⌈3.5 / (3/7) − 1⌉ = ⌈49/6⌉ − 1 = 8.
        assert_eq!(first(3, 7, 9), Some(8));
        // For every error n / (2n + 1) the quotient is 2n.
        for n in 1..200 {
            assert_eq!(first(n, 2 * n + 1, 2 * n + 1), None, "{n}");
            assert!(first(n, 2 * n + 1, 2 * n + 2).is_some(), "{n}");
        }
    }
}
