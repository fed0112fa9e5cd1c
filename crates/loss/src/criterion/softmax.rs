//! log-softmax over the class dimension, and the checks of a distribution over classes.

use candle_core::{D, Tensor};
use taskweave_kernels::{Error, Result, Target};

use super::elementwise::{elementwise, in_unit_interval};

/// log p of logits `[batch, classes, …]` over the classes.
///
/// candle's reductions are slow over any but the last dimension, so the classes go there first. The maximum is
/// a constant shift and takes no part in the gradient.
pub(super) fn log_softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let logits = logits.transpose(1, D::Minus1)?.contiguous()?;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)?.transpose(1, D::Minus1)
}

/// Losses `[batch]` of a criterion that sums `loss(log p, t)` over the classes of a soft target.
pub(super) fn over_distributions(
    logits: &Tensor,
    target: &Target,
    loss: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Result<Tensor> {
    if logits.rank() < 2 {
        return Err(Error::shape("logits", "[batch, classes, …]", logits.dims()));
    }
    if target.weight().rank() != 1 {
        return Err(Error::shape("weight of a soft target", "[batch]", target.weight().dims()));
    }
    let means = elementwise(logits, target, |logits, value| {
        in_unit_interval("soft target", value)?;
        Ok(loss(&log_softmax(logits)?, value)?)
    })?;
    // A mean over classes and positions, where a sum over classes is meant.
    Ok((means * logits.dims()[1] as f64)?)
}
