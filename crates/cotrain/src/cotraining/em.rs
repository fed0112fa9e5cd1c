//! Expectation maximization: a learner learns from its own probabilities.
//!
//! Per round: t(x) = p(· | x) for every sample without a label, then the learner learns from the given labels with weight 1
//! and from t with weight λ. Ends where no probability moves by more than 10⁻⁶.
//! Cost: one prediction of all unlabeled samples and one lesson per round.
//! Guarantees: no round lowers Σ_L ln p(x, y) + λ Σ_U ln p(x), with multinomial naive Bayes of smoothing α plus α Σ ln θ over its
//! word probabilities θ, with Gaussian naive Bayes of a smoothing near 0; λ = 0 is supervised. Not: a likelier model is a
//! better one; the mixture that fits best need not be that of the classes.
//! Reference: Nigam et al., "Text Classification from Labeled and Unlabeled Documents using EM", Machine Learning 39, 2000.

use taskweave_kernels::{Error, Result};

use super::soft::{check_weight, lesson, settled};
use super::{Method, Room, Team, Turn, require_classes};
use crate::learner::Lesson;
use crate::pool::Pool;
use crate::remembers::remembers;

/// Expectation maximization of one learner.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weight` | 1 | ≥ 0 | λ: what an unlabeled sample counts against a labeled one |
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; here it takes one learner.
#[derive(Debug, Clone)]
pub struct Em {
    weight: f64,
    before: Option<Vec<f64>>,
}

impl Em {
    /// With the weight λ of an unlabeled sample.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is negative or not finite.
    pub fn new(weight: f64) -> Result<Self> {
        Ok(Self { weight: check_weight(weight)?, before: None })
    }
}

impl Default for Em {
    fn default() -> Self {
        Self { weight: 1.0, before: None }
    }
}

impl Method for Em {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        require_classes(pool)?;
        match team.members().len() {
            1 => Ok(()),
            more => Err(Error::parameter("learners", "one", more)),
        }
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        settled(room, &mut self.before, 1e-6)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        lesson(room, learner, &[learner], self.weight).map(Some)
    }
}

remembers!(Em, before);
