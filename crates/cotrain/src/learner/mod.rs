//! Learners: what learns from a weighted lesson and predicts probabilities or values.
//!
//! | learner | predicts | reference |
//! | --- | --- | --- |
//! | [`MultinomialNb`] | classes, from counts | McCallum and Nigam, AAAI workshops 1998 |
//! | [`GaussianNb`] | classes, from numbers | Duda and Hart, 1973 |
//! | [`Logistic`] | classes | Cox, 1958 |
//! | [`Ridge`] | values, also one per class | Hoerl and Kennard, 1970 |
//! | [`Knn`] | values | Cover and Hart, 1967 |
//! | [`FromFn`] | what two closures say | |
//! | [`TaskLearner`] | a task of any model of this project | |
//!
//! Host numbers ([`Matrix`]) are the wire here: most learners of this family are closed forms on small data, and a network
//! makes tensors of them.

mod coding;
mod from_fn;
mod gaussian_nb;
mod knn;
mod lbfgs;
mod lesson;
mod logistic;
mod matrix;
mod multinomial_nb;
mod ridge;
mod saved;
mod softmax;
mod task_learner;

pub use coding::Coding;
pub use from_fn::FromFn;
pub use gaussian_nb::GaussianNb;
pub use knn::Knn;
pub use lesson::{Answers, Lesson};
pub use logistic::Logistic;
pub use matrix::{Matrix, MultiView};
pub use multinomial_nb::MultinomialNb;
pub use ridge::Ridge;
pub use task_learner::TaskLearner;

pub(crate) use knn::nearest;
pub(crate) use lesson::likeliest;
pub(crate) use softmax::softmax;

use taskweave_kernels::{Error, Result, Stateful};

/// What learns from a lesson and predicts.
///
/// [`Learner::learn`] takes the whole lesson each time. A learner with a closed form forgets what it knew before; a
/// network may start from it.
///
/// # Example
/// Two classes by hand: the word 0 is always in the first, the word 1 in the second.
/// ```
/// use taskweave_cotrain::learner::{Answers, Learner, Lesson, Matrix, MultinomialNb};
/// let view = Matrix::new(3, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0])?;
/// let mut learner = MultinomialNb::new(1.0)?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Classes(2), [(0, 0.0), (1, 1.0)])?)?;
/// let said = learner.predict(&view, &[2])?;
/// assert!((said.row(0)?[0] - 2.0 / 3.0).abs() < 1e-12); // (1 + 1) / (1 + 2) against (0 + 1) / (1 + 2)
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Learner: Stateful + Send {
    /// Learns from samples of a view.
    ///
    /// # Errors
    /// Those of the learner; a sample that the view does not have is one.
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()>;

    /// What it says of some samples, `[samples, classes]` of probabilities or `[samples, 1]` of values.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a learner that has not learned yet or a view of another width.
    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix>;
}

/// What a learner knows, or the error that it has not learned.
fn learned<T>(fitted: Option<&T>) -> Result<&T> {
    fitted.ok_or_else(|| {
        Error::parameter("learner", "one that has learned before it predicts", "one that has not")
    })
}

/// Refuses a view of another width than the one that was learned from.
fn check_columns(view: &Matrix, columns: usize) -> Result<()> {
    match view.columns() == columns {
        true => Ok(()),
        false => Err(Error::shape(
            "view",
            format!("[samples, {columns}], as learned"),
            &[view.rows(), view.columns()],
        )),
    }
}

/// Refuses a target that is no distribution over classes.
fn check_distributions(lesson: &Lesson) -> Result<()> {
    let odd = |row: &&[f64]| row.iter().any(|p| *p < 0.0) || (row.iter().sum::<f64>() - 1.0).abs() > 1e-6;
    match lesson.iter().map(|(_, target, _)| target).find(odd) {
        Some(row) => Err(Error::parameter("target", "a distribution over the classes", format!("{row:?}"))),
        None => Ok(()),
    }
}
