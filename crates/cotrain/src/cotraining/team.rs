//! The learners of a session, each with the view that it sees.

use taskweave_kernels::{Error, Named, Result, State, Stateful};

use crate::learner::{Answers, Learner, Lesson, Matrix, MultiView};
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
    /// The last lesson of each that has had one.
    taught: Named<Lesson>,
    /// Each learner before its first lesson.
    fresh: Named<State>,
}

impl Team {
    pub(super) fn new(members: Named<Member>, answers: Answers) -> Result<Self> {
        let fresh = members.try_map(|_, member| member.learner.save())?;
        Ok(Self { members, answers, taught: Named::default(), fresh })
    }

    /// The learners in order.
    pub fn members(&self) -> &Named<Member> {
        &self.members
    }

    /// Has one learner learn from its view.
    ///
    /// # Errors
    /// [`Error::Unknown`] for no such learner, and those of the learner.
    pub fn teach(&mut self, name: &str, views: &MultiView, lesson: &Lesson) -> Result<()> {
        self.learn(name, views, lesson)?;
        self.taught.remove(name);
        self.taught.insert(name, lesson.clone())
    }

    /// The last lesson that a learner has had.
    pub fn taught(&self, name: &str) -> Option<&Lesson> {
        self.taught.get(name)
    }

    fn learn(&mut self, name: &str, views: &MultiView, lesson: &Lesson) -> Result<()> {
        let member = self.members.require_mut("learner", name)?;
        member.learner.learn(views.require(&member.view)?, lesson)
    }

    /// What every learner says of some samples.
    ///
    /// # Errors
    /// Those of [`Team::predict_by`].
    pub fn predict(&self, views: &MultiView, samples: &[usize]) -> Result<Named<Matrix>> {
        self.members.try_map(|name, _| self.predict_by(name, views, samples))
    }

    /// What one learner says of some samples.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a prediction that is NaN or infinite, [`Error::Shape`] for one of another shape; those of
    /// the learner.
    pub fn predict_by(&self, name: &str, views: &MultiView, samples: &[usize]) -> Result<Matrix> {
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
        views: &MultiView,
        (lesson, samples): (&Lesson, &[usize]),
    ) -> Result<Matrix> {
        let before = self.members.require("learner", name)?.learner.save()?;
        let said = self.learn(name, views, lesson).and_then(|()| self.predict_by(name, views, samples));
        self.members.require_mut("learner", name)?.learner.restore(&before)?;
        said
    }

    /// The same of a learner that starts anew, so that it has never seen those samples.
    ///
    /// # Errors
    /// Those of the learner.
    pub fn trial_anew(
        &mut self,
        name: &str,
        views: &MultiView,
        (lesson, samples): (&Lesson, &[usize]),
    ) -> Result<Matrix> {
        let learner = &mut self.members.require_mut("learner", name)?.learner;
        let before = learner.save()?;
        learner.restore(self.fresh.require("learner", name)?)?;
        let said = self.trial(name, views, (lesson, samples));
        self.members.require_mut("learner", name)?.learner.restore(&before)?;
        said
    }
}

impl Stateful for Team {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let values =
            self.members.try_map(|name, m| keep(&mut tensors, &format!("{name}/"), m.learner.save()?))?;
        Ok(State { tensors, ..State::of(&(values, &self.taught))? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Team {
    fn take(&mut self, state: &State) -> Result<()> {
        let (saved, taught): (Named<serde_json::Value>, Named<Lesson>) = state.read("learners")?;
        if !saved.names().eq(self.members.names()) {
            let names = |names: Vec<&str>| names.join(", ");
            let expected = names(self.members.names().collect());
            return Err(Error::state("learners", expected, names(saved.names().collect())));
        }
        for ((name, member), values) in self.members.iter_mut().zip(saved.values()) {
            member.learner.restore(&pick(state, &format!("{name}/"), values)?)?;
        }
        self.taught = taught;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says how many lessons it has had, as a network remembers all of its.
    struct Counting(f64);

    impl Learner for Counting {
        fn learn(&mut self, _: &Matrix, _: &Lesson) -> Result<()> {
            self.0 += 1.0;
            Ok(())
        }

        fn predict(&self, _: &Matrix, samples: &[usize]) -> Result<Matrix> {
            Matrix::new(samples.len(), 1, vec![self.0; samples.len()])
        }
    }

    impl Stateful for Counting {
        fn save(&self) -> Result<State> {
            State::of(&self.0)
        }

        fn restore(&mut self, state: &State) -> Result<()> {
            self.0 = state.read("Counting")?;
            Ok(())
        }
    }

    #[test]
    fn a_trial_goes_on_or_starts_anew_and_leaves_no_trace() {
        let views = MultiView::new([("x", Matrix::new(2, 1, vec![0.0, 1.0]).unwrap())]).unwrap();
        let member = Member { view: "x".into(), learner: Box::new(Counting(0.0)) };
        let mut team = Team::new(Named::new([("a", member)]).unwrap(), Answers::Value).unwrap();
        let lesson = |label: f64| Lesson::of_labels(Answers::Value, [(0, label)]).unwrap();
        team.teach("a", &views, &lesson(1.0)).unwrap();
        team.teach("a", &views, &lesson(2.0)).unwrap();
        let trial = (&lesson(3.0), [1].as_slice());
        assert_eq!(team.trial("a", &views, trial).unwrap().values(), [3.0]);
        assert_eq!(team.trial_anew("a", &views, trial).unwrap().values(), [1.0]);
        assert_eq!(team.predict_by("a", &views, &[0]).unwrap().values(), [2.0]);
        assert_eq!(team.taught("a"), Some(&lesson(2.0)));
        let saved = team.save().unwrap();
        team.teach("a", &views, &lesson(4.0)).unwrap();
        team.restore(&saved).unwrap();
        assert_eq!(team.taught("a"), Some(&lesson(2.0)));
    }
}
