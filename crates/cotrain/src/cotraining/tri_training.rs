//! Tri-training: two that agree teach the third.
//!
//! Three learners start from bootstrap samples of the labeled samples L. Per round, with i taught by j and k:
//!     eᵢ = the share of labeled samples on which j and k agree and are wrong, among those on which they agree
//!     Lᵢ = the unlabeled samples on which j and k agree, with their label
//!     accept where eᵢ < e'ᵢ and eᵢ |Lᵢ| < e'ᵢ l'ᵢ; where Lᵢ is too large for the second, draw ⌈e'ᵢ l'ᵢ / eᵢ − 1⌉ of it.
//! Then i learns L ∪ Lᵢ, and e'ᵢ, l'ᵢ become eᵢ, |Lᵢ|. Starts from e'ᵢ = ½, l'ᵢ = ⌊eᵢ / (e'ᵢ − eᵢ) + 1⌋; ends where none accepts.
//! Together the three say the class of the majority. Cost: one prediction of all samples and one lesson per learner and
//! round. Guarantees: Lᵢ is drawn anew in each round, so that an early error is not kept.
//! Variants: where j and k agree on no labeled sample, eᵢ = ½, and nothing is accepted.
//! Reference: Zhou and Li, "Tri-Training: Exploiting Unlabeled Data Using Three Classifiers", TKDE 17, 2005, figure 1,
//! <https://doi.org/10.1109/TKDE.2005.186>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};

use super::{Method, Room, Team, Turn, require_classes, vote};
use crate::learner::{Answers, Lesson, Matrix, likeliest};
use crate::pool::Pool;

/// Tri-training; no parameters. The three learners may see one view or several.
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; this one takes three learners.
#[derive(Debug, Clone, Default)]
pub struct TriTraining {
    students: [Student; 3],
}

/// What is remembered of a learner's last lesson, and the one that is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Student {
    error: f64,
    size: f64,
    due: Option<Vec<(usize, f64)>>,
}

impl Default for Student {
    fn default() -> Self {
        Self { error: 0.5, size: 0.0, due: None }
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
        let truth: Vec<usize> = room.pool.labeled().values().map(|label| *label as usize).collect();
        for (place, student) in self.students.iter_mut().enumerate() {
            let wrong = agreed(&known, place).filter_map(|(at, class)| Some(*truth.get(at)? != class));
            let wrong: Vec<bool> = wrong.collect();
            let error = match wrong.len() {
                0 => 0.5,
                n => wrong.iter().filter(|wrong| **wrong).count() as f64 / n as f64,
            };
            let taught =
                agreed(&guessed, place).filter_map(|(at, class)| Some((*open.get(at)?, class as f64)));
            student.consider(error, taught.collect(), &room.rng.fork_at(place as u64));
        }
        Ok(if self.students.iter().any(|student| student.due.is_some()) { Turn::Learn } else { Turn::Over })
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        let place = room.team.members().position(learner);
        let due = place.and_then(|place| self.students.get(place)).and_then(|student| student.due.as_ref());
        let given = room.pool.labeled().iter().map(|(sample, label)| (*sample, *label));
        due.map(|due| Lesson::of_labels(room.pool.answers(), given.chain(due.iter().copied()))).transpose()
    }

    /// The class of the majority.
    fn combine(&self, predictions: &Named<Matrix>, answers: Answers) -> Result<Matrix> {
        vote::majority(predictions, &vec![1.0; predictions.len()], answers.width())
    }
}

impl Student {
    /// Accepts what the other two have to teach, all or some of it, or nothing.
    fn consider(&mut self, error: f64, mut taught: Vec<(usize, f64)>, rng: &Rng) {
        self.due = None;
        if error >= self.error || taught.is_empty() {
            return;
        }
        let needed = error / (self.error - error);
        if self.size == 0.0 {
            self.size = (needed + 1.0).floor();
        }
        let size = taught.len() as f64;
        if self.size >= size {
            return;
        }
        if error * size >= self.error * self.size {
            if self.size <= needed {
                return;
            }
            rng.fork("subsample").shuffle(&mut taught);
            taught.truncate((self.error * self.size / error - 1.0).ceil() as usize);
        }
        (self.error, self.size) = (error, taught.len() as f64);
        self.due = Some(taught);
    }
}

impl Stateful for TriTraining {
    fn save(&self) -> Result<State> {
        State::of(&self.students)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.students = state.read("TriTraining")?;
        Ok(())
    }
}

/// Where the two learners other than the one at `place` agree, and on which class.
fn agreed(said: &Named<Matrix>, place: usize) -> impl Iterator<Item = (usize, usize)> {
    let others: Vec<Vec<usize>> = said
        .values()
        .enumerate()
        .filter(|(other, _)| *other != place)
        .map(|(_, said)| said.iter().map(likeliest).collect())
        .collect();
    let [a, b]: [Vec<usize>; 2] = others.try_into().unwrap_or_default();
    a.into_iter().zip(b).enumerate().filter(|(_, (a, b))| a == b).map(|(at, (class, _))| (at, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(n: usize) -> Vec<(usize, f64)> {
        (0..n).map(|sample| (sample, 0.0)).collect()
    }

    #[test]
    fn a_student_accepts_while_the_expected_number_of_errors_falls() {
        let rng = Rng::new(0);
        let mut student = Student::default();
        student.consider(0.1, samples(20), &rng);
        // l' = ⌊0.1 / 0.4 + 1⌋ = 1; 0.1 · 20 ≥ 0.5 · 1, and 1 > 0.25: ⌈0.5 / 0.1 − 1⌉ = 4 of them.
        assert_eq!(student.due.as_ref().map(Vec::len), Some(4));
        student.consider(0.1, samples(20), &rng);
        assert_eq!(student.due, None, "the error has not fallen");
        student.consider(0.05, samples(7), &rng);
        assert_eq!(student.due.as_ref().map(Vec::len), Some(7), "0.05 · 7 < 0.1 · 4");
        student.consider(0.04, samples(7), &rng);
        assert_eq!(student.due, None, "no more samples than before");
        student.consider(0.0, samples(8), &rng);
        assert_eq!(student.due.as_ref().map(Vec::len), Some(8));
        student.consider(0.0, samples(99), &rng);
        assert_eq!(student.due, None, "an error of 0 cannot fall");
    }
}
