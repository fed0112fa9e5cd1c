//! Two closures as a learner.

use serde::{Serialize, de::DeserializeOwned};
use taskweave_kernels::{Result, State, Stateful};

use super::{Learner, Lesson, Matrix};

/// A learner of two closures over a state that can be saved: what a lesson makes of the state, and what the state says of
/// some samples.
///
/// # Example
/// A regressor that says the mean of all it has seen.
/// ```
/// use taskweave_cotrain::learner::{Answers, FromFn, Learner, Lesson, Matrix};
/// let mut learner = FromFn::new(
///     0.0,
///     |mean: &mut f64, _: &Matrix, lesson: &Lesson| {
///         *mean = lesson.iter().map(|(_, target, weight)| weight * target[0]).sum::<f64>() / lesson.weight();
///         Ok(())
///     },
///     |mean: &f64, _: &Matrix, samples: &[usize]| Matrix::new(samples.len(), 1, vec![*mean; samples.len()]),
/// );
/// let view = Matrix::new(3, 0, vec![])?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Value, [(0, 1.0), (1, 5.0)])?)?;
/// assert_eq!(learner.predict(&view, &[2])?.values(), [3.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FromFn<S, L, P> {
    state: S,
    learn: L,
    predict: P,
}

impl<S, L, P> FromFn<S, L, P>
where
    L: FnMut(&mut S, &Matrix, &Lesson) -> Result<()>,
    P: Fn(&S, &Matrix, &[usize]) -> Result<Matrix>,
{
    /// A learner that starts with `state`.
    pub fn new(state: S, learn: L, predict: P) -> Self {
        Self { state, learn, predict }
    }
}

impl<S, L, P> Learner for FromFn<S, L, P>
where
    S: Serialize + DeserializeOwned + Send,
    L: FnMut(&mut S, &Matrix, &Lesson) -> Result<()> + Send,
    P: Fn(&S, &Matrix, &[usize]) -> Result<Matrix> + Send,
{
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        (self.learn)(&mut self.state, view, lesson)
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        (self.predict)(&self.state, view, samples)
    }
}

impl<S: Serialize + DeserializeOwned, L, P> Stateful for FromFn<S, L, P> {
    fn save(&self) -> Result<State> {
        State::of(&self.state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.state = state.read("the closures' state")?;
        Ok(())
    }
}
