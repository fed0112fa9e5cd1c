//! Co-EM: learners learn from each other's probabilities.
//!
//! Per round and learner v in turn: t(x) ∝ Π_{u ≠ v} p_u(· | x_u) for every sample without a label, then v learns from the
//! given labels with weight 1 and from t with weight λ; the next learner is taught by what v says now. Ends where no
//! probability moves by more than 10⁻⁶.
//! Cost: per learner and round one prediction of all unlabeled samples by each other learner, and one lesson.
//! Guarantees: λ = 0 is supervised. Not: an increasing likelihood; the learners maximize different ones. Nor does what is true
//! stay: t does not see x_v, so that v fits a mixture of the classes wherever t leaves the class open (in EM the probabilities are
//! of x itself, and the true model is a fixed point). With two normal classes per view that one view alone confuses in 7 % of the
//! samples or more, the probabilities grow softer round by round, until every sample is said the prior of the classes and the
//! few labels weigh nothing against all others; at less than 1 % they stay sharp. It wants views each of which nearly tells the
//! class by itself, as the words of a page do; a small λ slows the loss, and a [`Gate`](crate::gate::Gate) can undo it.
//! Variants: any number of views (the paper has two, where the product is the other learner's probability).
//! Reference: Nigam and Ghani, "Analyzing the Effectiveness and Applicability of Co-training", CIKM 2000, section 3.2.

use taskweave_kernels::Result;

use super::soft::{check_weight, lesson, settled};
use super::{Method, Room, Team, Turn, require_classes, require_views};
use crate::learner::Lesson;
use crate::pool::Pool;
use crate::remembers::remembers;

/// Co-EM.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weight` | 1 | ≥ 0 | λ: what an unlabeled sample counts against a labeled one |
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session.
#[derive(Debug, Clone)]
pub struct CoEm {
    weight: f64,
    before: Option<Vec<f64>>,
}

impl CoEm {
    /// With the weight λ of an unlabeled sample.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) where it is negative or not finite.
    pub fn new(weight: f64) -> Result<Self> {
        Ok(Self { weight: check_weight(weight)?, before: None })
    }
}

impl Default for CoEm {
    fn default() -> Self {
        Self { weight: 1.0, before: None }
    }
}

impl Method for CoEm {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        require_views(team, 2)
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        settled(room, &mut self.before, 1e-6)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        let others: Vec<&str> = room.team.members().names().filter(|name| *name != learner).collect();
        lesson(room, learner, &others, self.weight).map(Some)
    }
}

remembers!(CoEm, before);
