//! Self-training: a learner labels its surest samples for itself.
//!
//! Per round: the learner predicts the unlabeled samples, the surest of each class join the labeled ones, as many as the
//! quota says, and it learns anew. The control for co-training: the same labels without a second view.
//! Cost: one prediction of all unlabeled samples and one lesson per round.
//! Reference: Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised Methods", ACL 1995.

use taskweave_kernels::{Error, Result, State, Stateful};

use super::labeling::Labeling;
use super::{Method, Room, Team, Turn, require_classes};
use crate::learner::Lesson;
use crate::pool::{Conflict, Pool, Quota};
use crate::selector::{Selector, TopK};

/// Self-training of one learner.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `selector` | [`TopK`] | – | which samples are labeled |
/// | `quota` | 1 of the rarest class | – | how many of each class per round |
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; here it takes one learner.
pub struct SelfTraining {
    selector: Box<dyn Selector>,
    quota: Quota,
}

impl SelfTraining {
    /// Which samples are labeled.
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.selector = Box::new(selector);
        self
    }

    /// How many samples of each class join per round.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }
}

impl Default for SelfTraining {
    fn default() -> Self {
        Self { selector: Box::new(TopK), quota: Quota::default() }
    }
}

impl Method for SelfTraining {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        self.selector.check()?;
        self.quota.of(pool)?;
        match team.members().len() {
            1 => Ok(()),
            more => Err(Error::parameter("learners", "one", more)),
        }
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        let Self { selector, quota } = self;
        let labeling =
            Labeling { selector: &mut **selector, quota, conflict: Conflict::Drop, window: usize::MAX };
        labeling.label(room)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.is_new(learner, room.round).then(|| room.pool.lesson(learner)).transpose()
    }
}

/// What changes is in the pool and in the selector.
impl Stateful for SelfTraining {
    fn save(&self) -> Result<State> {
        self.selector.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.selector.restore(state)
    }
}
