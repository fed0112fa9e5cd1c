//! Co-regularization: learners move towards each other where there is no label.
//!
//! For views v with learners f_v that minimize a squared error and a penalty of their own (such as
//! [`Ridge`](crate::learner::Ridge)),
//!     minimise  Σ_v ( Σ_L ‖f_v(x_v) − y‖² + λ_v ‖f_v‖² ) + γ Σ_{u<v} Σ_U ‖f_u(x_u) − f_v(x_v)‖²
//! by block coordinate descent: with the others fixed, f_v is the fit to the labels with weight 1 and to the mean of the
//! others on U with weight γ (V − 1). Ends where no prediction moves by more than `tolerance`.
//! Cost: one lesson per learner and round.
//! Guarantees: with ridge regression the objective falls in every round and its unique minimum is approached; γ = 0 is
//! supervised, in one round. Not: few rounds where γ is large.
//! Reference: Sindhwani, Niyogi and Belkin, "A Co-Regularization Approach to Semi-supervised Learning with Multiple Views",
//! ICML workshop on learning with multiple views 2005.

use taskweave_kernels::{Error, Named, Result};

use super::soft::{check_weight, settled};
use super::{Method, Room, Team, Turn, require_views};
use crate::learner::{Answers, Lesson, Matrix};
use crate::pool::Pool;
use crate::remembers::remembers;

/// Co-regularization; with classes, every learner has one value per class.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weight` | 0.1 | ≥ 0 | γ: the price of a squared difference between two learners |
/// | `tolerance` | 1e-6 | > 0 | the largest move of a prediction at the end |
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; learners of this one minimize squared errors.
#[derive(Debug, Clone)]
pub struct CoRegularization {
    weight: f64,
    tolerance: f64,
    before: Option<Vec<f64>>,
}

impl CoRegularization {
    /// With γ, the price of a squared difference.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is negative or not finite.
    pub fn new(weight: f64) -> Result<Self> {
        Ok(Self { weight: check_weight(weight)?, ..Self::default() })
    }

    /// The largest move of a prediction at the end.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not a finite number > 0.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self> {
        if !(tolerance.is_finite() && tolerance > 0.0) {
            return Err(Error::parameter("tolerance", "a finite number > 0", tolerance));
        }
        self.tolerance = tolerance;
        Ok(self)
    }
}

impl Default for CoRegularization {
    fn default() -> Self {
        Self { weight: 0.1, tolerance: 1e-6, before: None }
    }
}

impl Method for CoRegularization {
    fn check(&self, team: &Team, _: &Pool) -> Result<()> {
        require_views(team, 2)
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        settled(room, &mut self.before, self.tolerance)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        let given = room.pool.lesson(learner)?;
        let others: Vec<&str> = room.team.members().names().filter(|name| *name != learner).collect();
        if self.weight == 0.0 {
            return Ok(Some(given));
        }
        let open = room.pool.without_given_label();
        let said = others.iter().map(|name| Ok((*name, room.team.predict_by(name, room.views, &open)?)));
        let mean = mean(&Named::new(said.collect::<Result<Vec<_>>>()?)?)?;
        let weights = vec![self.weight * others.len() as f64; open.len()];
        given.and(&open, &mean, &weights).map(Some)
    }

    /// The mean of the learners.
    fn combine(&self, predictions: &Named<Matrix>, _: Answers) -> Result<Matrix> {
        mean(predictions)
    }
}

remembers!(CoRegularization, before);

fn mean(predictions: &Named<Matrix>) -> Result<Matrix> {
    let first = predictions.values().next();
    let (rows, columns) = first.map_or((0, 0), |first| (first.rows(), first.columns()));
    let mut sums = vec![0.0; rows * columns];
    for said in predictions.values() {
        sums.iter_mut().zip(said.values()).for_each(|(sum, v)| *sum += v / predictions.len() as f64);
    }
    Matrix::new(rows, columns, sums)
}
