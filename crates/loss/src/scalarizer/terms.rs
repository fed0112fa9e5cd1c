//! The losses of the tasks that are present, checked.

use std::cmp::Ordering;

use candle_core::{DType, Tensor};
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

/// Σ wᵢLᵢ with weights that no gradient flows through.
///
/// # Errors
/// As [`sum_of`], and [`Error::Unknown`] for the loss of a task without a weight.
pub(super) fn weighed(losses: &Named<Tensor>, weights: &Named<f64>) -> Result<Tensor> {
    sum_of(losses, |task, loss| Ok(loss.affine(*weights.require("task", task)?, 0.0)?))
}

/// The numbers.
///
/// # Errors
/// As [`sum_of`].
pub(super) fn numbers(losses: &Named<Tensor>) -> Result<Named<f64>> {
    sum_of(losses, |_, loss| Ok(loss.clone()))?;
    losses.try_map(|_, loss| Ok(loss.to_dtype(DType::F64)?.to_scalar()?))
}

/// The numbers, all greater than `bound`.
///
/// # Errors
/// As [`sum_of`], and [`Error::Parameter`] with the task whose loss is not.
pub(super) fn above(losses: &Named<Tensor>, bound: f64) -> Result<Named<f64>> {
    let numbers = numbers(losses)?;
    for (task, loss) in numbers.iter() {
        // Written so that a NaN is refused too.
        if !matches!(loss.partial_cmp(&bound), Some(Ordering::Greater)) {
            return Err(Error::parameter(format!("loss of `{task}`"), format!("a number > {bound}"), loss));
        }
    }
    Ok(numbers)
}

/// exp(zᵢ) / Σ exp(zⱼ).
pub(super) fn softmax(z: &Named<f64>) -> Named<f64> {
    let most = z.values().fold(f64::NEG_INFINITY, |most, z| most.max(*z));
    let powers = z.map(|_, z| (z - most).exp());
    let sum: f64 = powers.values().sum();
    powers.map(|_, power| power / sum)
}

/// r / ‖r‖ of numbers > 0, however large or small they are.
pub(super) fn direction(r: &Named<f64>) -> Named<f64> {
    let most = r.values().fold(0.0, |most: f64, r| most.max(*r));
    let length = r.values().map(|r| (r / most) * (r / most)).sum::<f64>().sqrt();
    r.map(|_, r| r / most / length)
}
