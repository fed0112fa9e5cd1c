//! Several sessions that vote.
//!
//! Which samples stand in the window is drawn at random, and a run of co-training depends on it. A committee runs one
//! session per draw and says the class of the majority, or the mean value.
//! Reference: after Breiman, "Bagging Predictors", Machine Learning 24, 1996; here the draws of the window differ, not the
//! labels.

use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::vote::{majority, together};
use super::{Advance, Session};
use crate::learner::{Answers, Matrix};
use crate::parts::{all_or_nothing, keep, pick};

/// Sessions that differ in their random stream, or in anything else, and vote.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use taskweave_cotrain::cotraining::{CoTraining, Committee, Session};
/// use taskweave_cotrain::learner::{Answers, GaussianNb, MultiView};
/// use taskweave_cotrain::pool::Pool;
/// use taskweave_data::{TwoMoons, TwoMoonsConfig};
/// use taskweave_kernels::{Result, Rng};
/// let views = Arc::new(MultiView::of_dataset(&TwoMoons::new(TwoMoonsConfig { len: 60, ..TwoMoonsConfig::default() })?)?);
/// let pool = Pool::new(Answers::Classes(2), (0..6).map(|sample| (sample, (sample % 2) as f64)), 6..40)?;
/// let session = |draw: u64| {
///     Session::builder(views.clone(), pool.clone(), CoTraining::default().window(10)?)
///         .learner("left", "left", GaussianNb::new(0.1)?)
///         .learner("right", "right", GaussianNb::new(0.1)?)
///         .rounds(5)
///         .rng(&Rng::new(draw))
///         .build()
/// };
/// let mut committee = Committee::new((0..3).map(session).collect::<Result<_>>()?)?;
/// committee.run()?;
/// let shares = committee.predict(&[50])?;
/// assert!((shares.row(0)?.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// assert!(shares.row(0)?.iter().any(|share| *share > 0.6)); // two votes of three, at least
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Committee {
    sessions: Vec<Session>,
}

impl Committee {
    /// A committee of sessions.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none, or where their labels differ in kind.
    pub fn new(sessions: Vec<Session>) -> Result<Self> {
        let answers = sessions.first().map(|session| session.pool().answers());
        let answers = answers.ok_or_else(|| Error::parameter("sessions", "at least one", 0))?;
        match sessions.iter().find(|session| session.pool().answers() != answers) {
            Some(odd) => Err(Error::parameter(
                "labels of a session",
                format!("{answers:?}"),
                format!("{:?}", odd.pool().answers()),
            )),
            None => Ok(Self { sessions }),
        }
    }

    /// All sessions to their end, one after the other.
    ///
    /// # Errors
    /// Those of [`Session::advance`].
    pub fn run(&mut self) -> Result<()> {
        while self.advance()? != Advance::Over {}
        Ok(())
    }

    /// The next part of the first session that is not over.
    ///
    /// # Errors
    /// Those of [`Session::advance`].
    pub fn advance(&mut self) -> Result<Advance> {
        for session in &mut self.sessions {
            let done = session.advance()?;
            if done != Advance::Over {
                return Ok(done);
            }
        }
        Ok(Advance::Over)
    }

    /// The share of the votes for each class, `[samples, classes]`, or the mean value, `[samples, 1]`.
    ///
    /// # Errors
    /// Those of the learners.
    pub fn predict(&self, samples: &[usize]) -> Result<Matrix> {
        let said = self
            .sessions
            .iter()
            .enumerate()
            .map(|(i, session)| Ok((i.to_string(), session.predict(samples)?)));
        let said = Named::new(said.collect::<Result<Vec<_>>>()?)?;
        match self.answers() {
            Answers::Classes(classes) => majority(&said, &vec![1.0; said.len()], classes),
            Answers::Value => together(&said, Answers::Value),
        }
    }

    /// The class, as a number, or the value of some samples.
    ///
    /// # Errors
    /// Those of the learners.
    pub fn labels(&self, samples: &[usize]) -> Result<Vec<f64>> {
        Ok(self.predict(samples)?.iter().map(|row| self.answers().label(row)).collect())
    }

    /// The sessions.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    fn answers(&self) -> Answers {
        self.sessions.first().map_or(Answers::Value, |session| session.pool().answers())
    }
}

impl Stateful for Committee {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let states = self.sessions.iter().enumerate();
        let values = states.map(|(i, session)| keep(&mut tensors, &format!("{i}/"), session.save()?));
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(State { tensors, ..State::of(&values)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Committee {
    fn take(&mut self, state: &State) -> Result<()> {
        let values: Vec<serde_json::Value> = state.read("Committee")?;
        if values.len() != self.sessions.len() {
            return Err(Error::state("Committee", format!("{} sessions", self.sessions.len()), values.len()));
        }
        for (i, (session, values)) in self.sessions.iter_mut().zip(&values).enumerate() {
            session.restore(&pick(state, &format!("{i}/"), values)?)?;
        }
        Ok(())
    }
}
