//! Whether a score is close enough to the best so far, and what was there when it was.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State};

use super::estimate::Estimate;
use super::{Decision, Verdict};
use crate::parts::{keep, pick};
use crate::range;

/// The best score so far, the last that was close enough to it, and how many since were not.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    tolerance: f64,
    patience: u64,
    best: Option<Best>,
    worse: u64,
}

#[derive(Debug, Clone)]
struct Best {
    estimate: Estimate,
    /// The number of the round or epoch that was kept last, and what it left.
    kept: u64,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    worse: u64,
    best: Option<(Estimate, u64, serde_json::Value)>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { tolerance: 0.5, patience: 2, best: None, worse: 0 }
    }
}

impl Judge {
    pub(super) fn tolerance(self, tolerance: f64) -> Result<Self> {
        range::not_negative("tolerance", tolerance)?;
        Ok(Self { tolerance, ..self })
    }

    pub(super) fn patience(self, patience: u64) -> Self {
        Self { patience, ..self }
    }

    /// Judges a round or epoch; `state` is asked for what is to be remembered.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a score that is not finite, and those of `state`.
    pub(super) fn judge(
        &mut self,
        found: Estimate,
        number: u64,
        state: impl FnOnce() -> Result<State>,
    ) -> Result<Decision> {
        if !(found.score.is_finite() && found.error.is_finite()) {
            return Err(Error::non_finite("score of the gate", "all learners together"));
        }
        let best = match &self.best {
            Some(best) if best.estimate.score > found.score => best.estimate,
            _ => found,
        };
        let least = best.score - self.tolerance * best.error;
        let verdict = if found.score >= least {
            self.best = Some(Best { estimate: best, kept: number, state: state()? });
            self.worse = 0;
            Verdict::Kept
        } else {
            self.worse += 1;
            if self.worse > self.patience { Verdict::Stopped } else { Verdict::Worse }
        };
        Ok(Decision { score: found.score, best: best.score, least, verdict })
    }

    /// The last round or epoch that was kept and what it left, where worse ones followed.
    pub(super) fn way_back(&self) -> Option<(u64, &State)> {
        self.best.as_ref().filter(|_| self.worse > 0).map(|best| (best.kept, &best.state))
    }

    pub(super) fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let best = match &self.best {
            Some(best) => Some((best.estimate, best.kept, keep(&mut tensors, "best/", best.state.clone())?)),
            None => None,
        };
        Ok(State { tensors, ..State::of(&Saved { worse: self.worse, best })? })
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("Gate")?;
        let best = |(estimate, kept, values): (Estimate, u64, serde_json::Value)| {
            Ok::<_, Error>(Best { estimate, kept, state: pick(state, "best/", &values)? })
        };
        self.best = saved.best.map(best).transpose()?;
        self.worse = saved.worse;
        Ok(())
    }
}
