//! The losses of the tasks that are present, checked.

use candle_core::Tensor;
use taskweave_kernels::{Error, Named, Result};

/// Σ of one term per task.
///
/// # Errors
/// [`Error::Shape`] for a loss that is not a scalar, [`Error::Parameter`] for no task at all, and those of `term`.
pub(super) fn sum_of(
    losses: &Named<Tensor>,
    term: impl Fn(&str, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (task, loss) in losses.iter() {
        if loss.rank() != 0 {
            return Err(Error::shape(format!("loss of `{task}`"), "[] (a scalar)", loss.dims()));
        }
        let term = term(task, loss)?;
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    sum.ok_or_else(|| Error::parameter("losses", "at least one task", 0))
}
