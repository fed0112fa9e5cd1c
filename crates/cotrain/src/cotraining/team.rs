//! The learners of a session, each with the view that it sees.

use taskweave_kernels::{Error, Named, Result, State, Stateful};

use crate::learner::{Answers, Learner, Lesson, Matrix, Views};
use crate::parts::{all_or_nothing, keep, pick};

/// A learner and the view that it sees.
pub struct Member {
    /// The name of the view.
    pub view: String,
    /// The learner.
    pub learner: Box<dyn Learner>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("view", &self.view).finish_non_exhaustive()
    }
}

/// The learners of a session by name.
#[derive(Debug)]
pub struct Team {
    members: Named<Member>,
    answers: Answers,
}

impl Team {
    pub(super) fn new(members: Named<Member>, answers: Answers) -> Self {
        Self { members, answers }
    }

    /// The learners in order.
    pub fn members(&self) -> &Named<Member> {
        &self.members
    }

    /// Has one learner learn from its view.
    ///
    /// # Errors
    /// [`Error::Unknown`] for no such learner, and those of the learner.
    pub fn teach(&mut self, name: &str, views: &Views, lesson: &Lesson) -> Result<()> {
        let member = self.members.require_mut("learner", name)?;
        member.learner.learn(views.require(&member.view)?, lesson)
    }

    /// What every learner says of some samples.
    ///
    /// # Errors
    /// Those of [`Team::predict_by`].
    pub fn predict(&self, views: &Views, samples: &[usize]) -> Result<Named<Matrix>> {
        self.members.try_map(|name, _| self.predict_by(name, views, samples))
    }

    /// What one learner says of some samples.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a prediction that is NaN or infinite, [`Error::Shape`] for one of another shape; those of
    /// the learner.
    pub fn predict_by(&self, name: &str, views: &Views, samples: &[usize]) -> Result<Matrix> {
        let member = self.members.require("learner", name)?;
        let said = member.learner.predict(views.require(&member.view)?, samples)?;
        if (said.rows(), said.columns()) != (samples.len(), self.answers.width()) {
            let expected = format!("[{}, {}]", samples.len(), self.answers.width());
            return Err(Error::shape(
                format!("prediction of `{name}`"),
                expected,
                &[said.rows(), said.columns()],
            ));
        }
        if !said.values().iter().all(|value| value.is_finite()) {
            return Err(Error::non_finite("a prediction", name));
        }
        Ok(said)
    }

    /// What a learner would say of some samples after another lesson; it is as before then.
    ///
    /// # Errors
    /// Those of the learner.
    pub fn trial(
        &mut self,
        name: &str,
        views: &Views,
        (lesson, samples): (&Lesson, &[usize]),
    ) -> Result<Matrix> {
        let before = self.members.require("learner", name)?.learner.save()?;
        let said = self.teach(name, views, lesson).and_then(|()| self.predict_by(name, views, samples));
        self.members.require_mut("learner", name)?.learner.restore(&before)?;
        said
    }
}

impl Stateful for Team {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let values =
            self.members.try_map(|name, m| keep(&mut tensors, &format!("{name}/"), m.learner.save()?))?;
        Ok(State { tensors, ..State::of(&values)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Team {
    fn take(&mut self, state: &State) -> Result<()> {
        let saved: Named<serde_json::Value> = state.read("learners")?;
        if !saved.names().eq(self.members.names()) {
            let names = |names: Vec<&str>| names.join(", ");
            let expected = names(self.members.names().collect());
            return Err(Error::state("learners", expected, names(saved.names().collect())));
        }
        for ((name, member), values) in self.members.iter_mut().zip(saved.values()) {
            member.learner.restore(&pick(state, &format!("{name}/"), values)?)?;
        }
        Ok(())
    }
}
