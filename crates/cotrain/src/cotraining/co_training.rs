//! Co-training: each view labels its surest samples for all.
//!
//! Per round: a window is filled up from the unlabeled samples at random; every learner, on its own view, proposes its
//! surest samples of each class, as many as the quota says; they join the labeled samples, and all learn anew.
//! Cost: one prediction of the window and one lesson per learner and round.
//! Guarantees: a sample joins once, however many learners choose it; a quota of 0 is the supervised start. Not: that a round
//! helps; see [`Gate`](crate::gate::Gate).
//! Variants: any number of classes and views (the paper has two of each); a conflict between learners is resolved by a
//! stated policy; `Agreement` as the selector labels only what all views say alike.
//! Reference: Blum and Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998, table 1,
//! <https://doi.org/10.1145/279943.279962>.

use taskweave_kernels::{Error, Result, State, Stateful};

use super::labeling::Labeling;
use super::{Method, Room, Team, Turn, require_classes, require_views};
use crate::learner::Lesson;
use crate::pool::{Conflict, Pool, Quota};
use crate::selector::{Selector, TopK};

/// Co-training.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `selector` | [`TopK`] | – | which samples of the window are proposed |
/// | `quota` | 1 of the rarest class | – | how many of each class per learner and round |
/// | `conflict` | drop | – | what becomes of different proposals about one sample |
/// | `window` | 75 | ≥ 1 | unlabeled samples that are up for proposals; all where there are fewer |
///
/// # Example
/// Two views, each a noisy copy of the class; two labels are enough.
/// ```
/// use std::sync::Arc;
/// use taskweave_cotrain::cotraining::{CoTraining, Session};
/// use taskweave_cotrain::learner::{Answers, GaussianNb, Matrix, MultiView};
/// use taskweave_cotrain::pool::Pool;
/// use taskweave_kernels::Rng;
/// let (n, mut rng) = (200, Rng::new(0));
/// let class = |sample: usize| (sample % 2) as f64;
/// let mut view = || Matrix::new(n, 1, (0..n).map(|i| 4.0 * class(i) + rng.normal()).collect());
/// let views = Arc::new(MultiView::new([("left", view()?), ("right", view()?)])?);
/// let labeled = (0..6).map(|sample| (sample, class(sample)));
/// let pool = Pool::new(Answers::Classes(2), labeled, 6..100)?;
/// let mut session = Session::builder(views, pool, CoTraining::default())
///     .learner("left", "left", GaussianNb::default())
///     .learner("right", "right", GaussianNb::default())
///     .rounds(20)
///     .build()?;
/// session.run()?;
/// let test: Vec<usize> = (100..n).collect();
/// let said = session.labels(&test)?;
/// let right = test.iter().zip(&said).filter(|(sample, label)| class(**sample) == **label).count();
/// assert!(right >= 98);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct CoTraining {
    selector: Box<dyn Selector>,
    quota: Quota,
    conflict: Conflict,
    window: usize,
}

impl CoTraining {
    /// Which samples of the window are proposed.
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.selector = Box::new(selector);
        self
    }

    /// How many samples of each class join per learner and round.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// What becomes of different proposals about one sample.
    pub fn conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }

    /// How many unlabeled samples are up for proposals.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn window(mut self, samples: usize) -> Result<Self> {
        if samples == 0 {
            return Err(Error::parameter("window", "at least 1 sample", 0));
        }
        self.window = samples;
        Ok(self)
    }
}

impl Default for CoTraining {
    fn default() -> Self {
        Self { selector: Box::new(TopK), quota: Quota::default(), conflict: Conflict::default(), window: 75 }
    }
}

impl Method for CoTraining {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        self.selector.check()?;
        self.quota.of(pool)?;
        require_views(team, 2)
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        let Self { selector, quota, conflict, window } = self;
        Labeling { selector: &mut **selector, quota, conflict: *conflict, window: *window }.label(room)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.is_new(learner, room.round).then(|| room.pool.lesson(learner)).transpose()
    }
}

/// What changes is in the pool and in the selector.
impl Stateful for CoTraining {
    fn save(&self) -> Result<State> {
        self.selector.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.selector.restore(state)
    }
}
