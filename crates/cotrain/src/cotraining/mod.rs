//! Co-training: several learners, or one, that label samples for each other.
//!
//! | method | a round | needs | reference |
//! | --- | --- | --- | --- |
//! | [`CoTraining`] | each view labels its surest samples for all | ≥ 2 views, classes | Blum and Mitchell, COLT 1998 |
//! | [`SelfTraining`] | a learner labels its surest samples for itself | classes | Yarowsky, ACL 1995 |
//! | [`Em`] | a learner learns from its own probabilities | classes | Nigam et al., Machine Learning 2000 |
//! | [`CoEm`] | learners learn from each other's probabilities | ≥ 2 views, classes | Nigam and Ghani, CIKM 2000 |
//! | [`TriTraining`] | two that agree teach the third | 3 learners, classes | Zhou and Li, TKDE 2005 |
//! | [`Democratic`] | a weighted majority teaches whom it outvotes | ≥ 3 learners, classes | Zhou and Goldman, ICTAI 2004 |
//! | [`CoRegularization`] | learners move towards each other where there is no label | ≥ 2 views | Sindhwani et al., ICML workshops 2005 |
//! | [`Coreg`] | a regressor teaches what most lowers its own error | 2 learners, values | Zhou and Li, IJCAI 2005 |
//!
//! A [`Session`] runs any of them: round 0 is the supervised start, and then, round by round, the method prepares, every
//! learner learns its lesson, and the [`Gate`](crate::gate::Gate) judges. [`Session::advance`] does one of these parts, so
//! that a session can be saved and resumed in the middle of a round.

mod builder;
mod co_em;
mod co_regularization;
mod co_training;
mod committee;
mod coreg;
mod democratic;
mod em;
mod history;
mod labeling;
mod panels;
mod progress;
mod self_training;
mod session;
mod soft;
mod team;
mod tri_training;
mod vote;

pub use builder::SessionBuilder;
pub use co_em::CoEm;
pub use co_regularization::CoRegularization;
pub use co_training::CoTraining;
pub use committee::Committee;
pub use coreg::Coreg;
pub use democratic::Democratic;
pub use em::Em;
pub use history::{RoundRecord, Rounds};
pub use progress::{Listener, RoundProgress, Silent};
pub use self_training::SelfTraining;
pub use session::{Advance, Session, Watch};
pub use team::{Member, Team};
pub use tri_training::TriTraining;

pub(crate) use vote::kappa;

use taskweave_kernels::{Error, Named, Result, Rng, Stateful};

use crate::learner::{Answers, Lesson, Matrix, MultiView};
use crate::pool::Pool;

/// Whether a method has anything left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The learners learn.
    Learn,
    /// There is nothing left to teach, and the session ends.
    Over,
}

/// What a method works on in a round.
#[derive(Debug)]
pub struct Room<'a> {
    /// All views.
    pub views: &'a MultiView,
    /// The learners.
    pub team: &'a mut Team,
    /// Who has a label.
    pub pool: &'a mut Pool,
    /// The round, from 1.
    pub round: u64,
    /// The random stream of the round.
    pub rng: Rng,
}

/// A method of co-training: what the learners are taught, round by round.
///
/// # Example
/// A method of one's own: in the first round everything that is unlabeled gets the first learner's label.
/// ```
/// use taskweave_cotrain::cotraining::{Method, Room, Turn};
/// use taskweave_cotrain::learner::Lesson;
/// use taskweave_cotrain::pool::Proposal;
/// use taskweave_kernels::{Result, State, Stateful};
///
/// struct AllAtOnce;
///
/// impl Method for AllAtOnce {
///     fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
///         let open: Vec<usize> = room.pool.unlabeled().iter().copied().collect();
///         let said = room.team.predict(room.views, &open)?;
///         let (by, said) = said.iter().next().expect("a session has a learner");
///         let label = |(sample, row): (&usize, &[f64])| Proposal {
///             sample: *sample,
///             label: room.pool.answers().label(row),
///             confidence: 1.0,
///             by: vec![by.into()],
///         };
///         let proposals: Vec<_> = open.iter().zip(said.iter()).map(label).collect();
///         room.pool.add(&proposals, room.round, None)?;
///         Ok(if open.is_empty() { Turn::Over } else { Turn::Learn })
///     }
///
///     fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
///         room.pool.lesson(learner).map(Some)
///     }
/// }
///
/// impl Stateful for AllAtOnce {
///     fn save(&self) -> Result<State> {
///         State::of(&())
///     }
///     fn restore(&mut self, state: &State) -> Result<()> {
///         state.read("AllAtOnce")
///     }
/// }
/// ```
pub trait Method: Stateful + Send {
    /// Refuses learners and pools that the method cannot work on.
    ///
    /// # Errors
    /// [`Error::Parameter`] with what is missing.
    fn check(&self, _team: &Team, _pool: &Pool) -> Result<()> {
        Ok(())
    }

    /// What a learner is taught in round 0: all that has a given label.
    ///
    /// # Errors
    /// Those of the pool.
    fn start(&self, room: &Room<'_>, learner: &str) -> Result<Lesson> {
        room.pool.lesson(learner)
    }

    /// What comes before the learners learn: labeling samples, say.
    ///
    /// # Errors
    /// Those of the learners.
    fn prepare(&mut self, _room: &mut Room<'_>) -> Result<Turn> {
        Ok(Turn::Learn)
    }

    /// What a learner is taught in this round; nothing leaves it as it is. Learners are asked in order, each after the one
    /// before has learned.
    ///
    /// # Errors
    /// Those of the learners.
    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>>;

    /// What the learners say together, `[samples, classes]` or `[samples, 1]`: the normalized product of their
    /// probabilities, or the mean of their values.
    ///
    /// # Errors
    /// Those of the method.
    fn combine(&self, predictions: &Named<Matrix>, answers: Answers) -> Result<Matrix> {
        vote::together(predictions, answers)
    }
}

/// Refuses fewer learners or views than a method needs.
fn require_views(team: &Team, least: usize) -> Result<()> {
    let mut views: Vec<&str> = team.members().values().map(|member| member.view.as_str()).collect();
    views.sort_unstable();
    views.dedup();
    match views.len() >= least {
        true => Ok(()),
        false => Err(Error::parameter("views of the learners", format!("at least {least}"), views.len())),
    }
}

fn require_learners(team: &Team, least: usize) -> Result<()> {
    match team.members().len() >= least {
        true => Ok(()),
        false => Err(Error::parameter("learners", format!("at least {least}"), team.members().len())),
    }
}

fn require_classes(pool: &Pool) -> Result<usize> {
    match pool.answers() {
        Answers::Classes(classes) => Ok(classes),
        Answers::Value => Err(Error::parameter("labels", "classes", "values")),
    }
}
