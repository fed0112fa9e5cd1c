//! The gate: whether the rounds of a session, or the epochs of a training of networks, have helped, and back to where they had.
//!
//! | type | judges |
//! | --- | --- |
//! | [`Gate`] | the rounds of a [`Session`](crate::cotraining::Session) |
//! | [`EpochGate`] | the epochs of a [`Trainer`](crate::Trainer) with [`Teachings`](crate::teaching::Teachings) |
//! | [`LeftOut`] | – : the labels that each network leaves out, so that it can be judged by them |
//!
//! After every round the gate forms a score and compares it with the best so far, whose standard error is s:
//!     score ≥ best − tolerance · s   the round is kept, and the session remembered as it is;
//!     otherwise                      the round is worse; after more than `patience` of them in a row the session ends.
//! At the end, learners, pool and method go back to the last round that was kept. The score is
//!     with validation labels   their accuracy (R² for values) by what the learners say together;
//!     without                  ½ (κ̄ + a): κ̄ the mean agreement beyond chance of each two learners on all samples that
//!                              came without a label, a the cross-validated accuracy on the given labels, where every
//!                              learner learns this round's lesson without the fold. With one learner a alone.
//! The standard error is that of the accuracy on n labels, k of which are right: √(p (1 − p) / (n + 4)), p = (k + 2) / (n + 4),
//! which is not 0 where all are right; κ̄ stands on so many samples that it counts as exact.
//! Cost: with validation labels one prediction of them per round; without, one prediction of the unlabeled samples and one
//! lesson per fold, per learner. Not: proof; learners that are wrong alike agree.
//! Reference: choice by standard errors is from Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees",
//! Wadsworth 1984, section 3.4, where it is one; for shares near 1 its form is that of Agresti and Coull, The American Statistician 52, 1998.

mod epochs;
mod estimate;
mod evidence;
mod folds;
mod judge;
mod left_out;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State};

use crate::cotraining::{Method, Room};
use crate::pool::Pool;
use crate::report::Figure;

use evidence::Evidence;
use judge::Judge;

pub use epochs::{EpochGate, Judged};
pub(crate) use estimate::score;
pub use left_out::LeftOut;

/// What the gate found in a round or epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its score.
    pub score: f64,
    /// The best score up to then.
    pub best: f64,
    /// The least score that is kept.
    pub least: f64,
    /// What followed.
    pub verdict: Verdict,
}

/// What follows from a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The session or training is remembered as it is.
    Kept,
    /// It is worse than the best, and patience is left.
    Worse,
    /// It is worse than the best, and the session or training ends.
    Stopped,
}

/// Judges rounds, and remembers the last good one.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `tolerance` | 0.5 | ≥ 0 | by how many of its standard errors a score may lie below the best |
/// | `patience` | 2 | ≥ 0 | rounds in a row that may be worse |
///
/// # Example
/// ```
/// use taskweave_cotrain::gate::Gate;
/// let gate = Gate::validation([(0, 1.0), (1, 0.0)])?.tolerance(0.0)?.patience(3);
/// assert!(Gate::validation([]).is_err());
/// assert!(Gate::unlabeled(1).is_err());
/// assert!(Gate::either([(0, 1.0)], 1).is_ok() && Gate::either([], 1).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Gate {
    evidence: Evidence,
    judge: Judge,
}

impl Gate {
    /// Every round is kept.
    pub fn off() -> Self {
        Self::of(Evidence::None)
    }

    /// Judges by samples with labels that no learner learns from.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn validation(samples: impl IntoIterator<Item = (usize, f64)>) -> Result<Self> {
        let samples: Vec<_> = samples.into_iter().collect();
        match samples.is_empty() {
            true => Err(Error::parameter("validation samples", "at least one", 0)),
            false => Ok(Self::of(Evidence::Validation(samples))),
        }
    }

    /// Judges by agreement on the unlabeled samples and the cross-validated accuracy on the labeled ones.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two folds.
    pub fn unlabeled(folds: usize) -> Result<Self> {
        match folds >= 2 {
            true => Ok(Self::of(Evidence::Unlabeled { folds })),
            false => Err(Error::parameter("folds", "at least 2", folds)),
        }
    }

    /// Judges by validation samples where there are any, else as [`Gate::unlabeled`].
    ///
    /// # Errors
    /// [`Error::Parameter`] for no sample and fewer than two folds.
    pub fn either(samples: impl IntoIterator<Item = (usize, f64)>, folds: usize) -> Result<Self> {
        let mut samples = samples.into_iter().peekable();
        match samples.peek() {
            Some(_) => Self::validation(samples),
            None => Self::unlabeled(folds),
        }
    }

    /// Refuses samples that cannot judge.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a validation sample that there is not, that learners learn from, or with a label that is none.
    pub(crate) fn check(&self, pool: &Pool, samples: usize) -> Result<()> {
        let Evidence::Validation(judged) = &self.evidence else { return Ok(()) };
        let open = pool.without_given_label();
        for (sample, label) in judged {
            pool.answers().row(*label)?;
            if *sample >= samples || pool.labeled().contains_key(sample) || open.contains(sample) {
                let expected = "one of the views that is not in the pool";
                return Err(Error::parameter("validation sample", expected, sample));
            }
        }
        Ok(())
    }

    /// By how many of its standard errors a score may lie below the best.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is negative or not finite.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self> {
        self.judge = self.judge.tolerance(tolerance)?;
        Ok(self)
    }

    /// How many rounds in a row may be worse.
    pub fn patience(mut self, rounds: u64) -> Self {
        self.judge = self.judge.patience(rounds);
        self
    }

    fn of(evidence: Evidence) -> Self {
        Self { evidence, judge: Judge::default() }
    }

    /// Judges a round; `state` is asked for what is to be remembered.
    pub(crate) fn judge(
        &mut self,
        room: &mut Room<'_>,
        method: &dyn Method,
        state: impl FnOnce(&Room<'_>) -> Result<State>,
    ) -> Result<Option<Decision>> {
        let Some(found) = self.evidence.estimate(room, method)? else { return Ok(None) };
        self.judge.judge(found, room.round, || state(room)).map(Some)
    }

    /// The last round that was kept and what it left, where worse ones followed.
    pub(crate) fn way_back(&self) -> Option<(u64, &State)> {
        self.judge.way_back()
    }

    pub(crate) fn save(&self) -> Result<State> {
        self.judge.save()
    }

    pub(crate) fn restore(&mut self, state: &State) -> Result<()> {
        self.judge.restore(state)
    }
}

/// What a gate saw, over the rounds or epochs that are named; nothing where it saw nothing.
pub(crate) fn figure<'a>(
    title: &str,
    axis: &str,
    seen: impl Iterator<Item = (u64, &'a Decision)>,
) -> Option<Figure> {
    let seen: Vec<(f64, &Decision)> = seen.map(|(at, decision)| (at as f64, decision)).collect();
    let curve = |of: fn(&Decision) -> f64| seen.iter().map(move |(at, decision)| (*at, of(decision)));
    let figure = Figure::new(title).axes(axis, "").series("score", curve(|decision| decision.score));
    let figure = figure.series("best", curve(|decision| decision.best));
    let figure = figure.series("least that is kept", curve(|decision| decision.least));
    (!seen.is_empty()).then_some(figure)
}
