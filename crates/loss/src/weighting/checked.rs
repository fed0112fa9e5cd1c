//! What weights have to be before anything goes on with them.

use taskweave_kernels::{Error, Result};

/// The same weights, where they are one finite number per task; for whoever calls a [`Weighting`](super::Weighting) that may
/// be anybody's.
///
/// # Errors
/// [`Error::Shape`] for another number of weights than that of the tasks, [`Error::NonFinite`] with the task whose weight is
/// a NaN or an infinity.
///
/// # Example
/// ```
/// use taskweave_loss::weighting::checked;
/// assert_eq!(checked(["class", "mask"].into_iter(), vec![1.0, 3.0])?, [1.0, 3.0]);
/// let error = checked(["class", "mask"].into_iter(), vec![1.0, f64::NAN]).unwrap_err();
/// assert_eq!(error.to_string(), "weight of `mask` is not finite");
/// assert!(checked(["class", "mask"].into_iter(), vec![1.0]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn checked<'a>(mut tasks: impl ExactSizeIterator<Item = &'a str>, weights: Vec<f64>) -> Result<Vec<f64>> {
    if weights.len() != tasks.len() {
        return Err(Error::shape("weights", format!("[{}], one per task", tasks.len()), &[weights.len()]));
    }
    match weights.iter().position(|weight| !weight.is_finite()).and_then(|wrong| tasks.nth(wrong)) {
        Some(task) => Err(Error::non_finite("weight", task)),
        None => Ok(weights),
    }
}
