//! What all criteria between several networks share: checks, leaving out what weighs 0, the sample mean.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result, Target};

use super::softmax::log_softmax;
use crate::element_weight;

/// The losses `[batch]` of a criterion whose loss per position is `loss(log p of each network)`.
///
/// Samples of weight 0 are replaced by 0 *before* the loss is formed, which must be finite there with a finite
/// derivative.
pub(super) fn over_networks(
    prediction: &Tensor,
    target: &Target,
    loss: impl Fn(&[Tensor]) -> candle_core::Result<Tensor>,
) -> Result<Tensor> {
    networks_of(prediction, target)?;
    if target.is_empty() {
        return Ok(Tensor::zeros(0, prediction.dtype(), prediction.device())?);
    }
    let counts: Vec<u8> =
        element_weight::checked(target.weight())?.iter().map(|weight| u8::from(*weight > 0.0)).collect();
    let all_count = !counts.contains(&0);
    let counts = Tensor::from_vec(counts, target.len(), prediction.device())?;
    let kept = match all_count {
        true => prediction.clone(),
        false => {
            let mut shape = vec![1; prediction.rank()];
            shape[0] = target.len();
            let spread = counts.reshape(shape)?.broadcast_as(prediction.shape())?;
            spread.where_cond(prediction, &prediction.zeros_like()?)?
        }
    };
    let logs = split(&kept)?.iter().map(log_softmax).collect::<candle_core::Result<Vec<_>>>()?;
    let losses = loss(&logs)?.reshape((target.len(), ()))?.mean(1)?;
    match all_count {
        true => Ok(losses),
        false => Ok(losses.mul(&counts.to_dtype(losses.dtype())?)?),
    }
}

/// How many networks have predicted.
///
/// # Errors
/// [`Error::DType`] and [`Error::Shape`] for a prediction that is not that of two networks or more for the samples
/// of the target, or weights that are not per sample.
pub(super) fn networks_of(prediction: &Tensor, target: &Target) -> Result<usize> {
    if !prediction.dtype().is_float() {
        return Err(Error::dtype("prediction", "a floating-point dtype", prediction.dtype()));
    }
    if target.weight().rank() != 1 {
        return Err(Error::shape("weight of several networks", "[batch]", target.weight().dims()));
    }
    match *prediction.dims() {
        [batch, networks, classes, ..] if batch == target.len() && networks >= 2 && classes >= 1 => {
            Ok(networks)
        }
        _ => {
            let expected = format!("[{}, networks ≥ 2, classes, …]", target.len());
            Err(Error::shape("prediction of several networks", expected, prediction.dims()))
        }
    }
}

/// The prediction `[batch, classes, …]` of each network.
pub(super) fn split(prediction: &Tensor) -> candle_core::Result<Vec<Tensor>> {
    (0..prediction.dim(1)?)
        .map(|network| prediction.narrow(1, network, 1)?.squeeze(1)?.contiguous())
        .collect()
}
