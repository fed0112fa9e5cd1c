//! What criteria that compare the samples of a batch share: checks, leaving out what weighs 0, directions.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result, Target};

use super::{softmax::log_softmax, stacked::networks_of};
use crate::element_weight;

/// The losses `[batch]` of a criterion that forms `[n]` of the directions `[n, width]` of both networks, the n samples being those
/// of weight > 0; the others have the loss 0 and are compared with nothing.
pub(super) fn over_pairs(
    prediction: &Tensor,
    target: &Target,
    loss: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Result<Tensor> {
    if networks_of(prediction, target)? != 2 || prediction.rank() != 3 {
        let expected = format!("[{}, 2 networks, width]", target.len());
        return Err(Error::shape("vectors of two networks", expected, prediction.dims()));
    }
    let weights = element_weight::checked(target.weight())?;
    let kept: Vec<u32> = (0..).zip(&weights).filter(|(_, w)| **w > 0.0).map(|(at, _)| at).collect();
    let none = Tensor::zeros(target.len(), prediction.dtype(), prediction.device())?;
    if kept.is_empty() {
        return Ok(none);
    }
    let kept = Tensor::new(kept, prediction.device())?;
    let chosen = prediction.index_select(&kept, 0)?;
    let side = |network| direction(&chosen.narrow(1, network, 1)?.squeeze(1)?.contiguous()?);
    let losses = loss(&side(0)?, &side(1)?)?;
    Ok(none.index_add(&kept, &losses, 0)?)
}

/// Each row at length 1; 0 stays 0.
fn direction(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(1)?.maximum(1e-12)?.sqrt()?)
}

/// −log of the share that the entry on the diagonal has in its row, `[n]`, of logits `[n, m ≥ n]`.
pub(super) fn surprise(logits: &Tensor) -> candle_core::Result<Tensor> {
    let n = logits.dim(0)?;
    let logs = log_softmax(logits)?.narrow(1, 0, n)?;
    logs.mul(&Tensor::eye(n, logs.dtype(), logs.device())?)?.sum(1)?.neg()
}
