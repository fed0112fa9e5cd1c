//! What all criteria that work element by element share: checks, leaving out what weighs 0, the sample mean.

use candle_core::{Result as CandleResult, Tensor};
use taskweave_kernels::{Error, Result, Target};

use crate::element_weight;

/// The losses `[batch]` of a criterion whose element loss is `loss(prediction, value)`.
///
/// Elements of weight 0 are replaced by 0 on both sides *before* the loss is formed: `loss` must be finite with
/// a finite derivative at (0, 0). Masking its result instead would leave 0 · NaN in the gradient.
pub(super) fn elementwise(
    prediction: &Tensor,
    target: &Target,
    loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let value = matching_value(prediction, target)?;
    if target.is_empty() {
        return Ok(Tensor::zeros(0, prediction.dtype(), prediction.device())?);
    }
    let shape = (target.len(), value.elem_count() / target.len());
    let Some(share) = shares(target, shape)? else {
        return Ok(loss(prediction, &value)?.reshape(shape)?.mean(1)?);
    };
    let share = share.to_device(prediction.device())?;
    let counts = share.gt(0.0)?.reshape(prediction.shape())?;
    let kept = |x: &Tensor| -> CandleResult<Tensor> { counts.where_cond(x, &x.zeros_like()?) };
    let losses = loss(&kept(prediction)?, &kept(&value)?)?.reshape(shape)?;
    Ok(losses.mul(&share.to_dtype(losses.dtype())?)?.sum(1)?)
}

/// Refuses a tensor with an element outside [0, 1]; NaN is outside.
pub(super) fn in_unit_interval(what: &str, tensor: &Tensor) -> Result<()> {
    match element_weight::to_host(tensor)?.iter().find(|v| !(0.0..=1.0).contains(*v)) {
        Some(bad) => Err(Error::parameter(what, "numbers in [0, 1]", bad)),
        None => Ok(()),
    }
}

/// |x| whose derivative at 0 is 0; candle's `abs` has 1 there.
pub(super) fn magnitude(x: &Tensor) -> CandleResult<Tensor> {
    x.maximum(&x.neg()?)
}

/// The value of a target of the shape of a prediction, in its dtype.
pub(super) fn matching_value(prediction: &Tensor, target: &Target) -> Result<Tensor> {
    let value = target.value();
    if !prediction.dtype().is_float() {
        return Err(Error::dtype("prediction", "a floating-point dtype", prediction.dtype()));
    }
    if !value.dtype().is_float() {
        return Err(Error::dtype("target", "a floating-point dtype", value.dtype()));
    }
    if value.dims() != prediction.dims() {
        return Err(Error::shape(
            "target",
            format!("{:?} of the prediction", prediction.dims()),
            value.dims(),
        ));
    }
    Ok(value.to_dtype(prediction.dtype())?)
}

/// How much each element counts within its sample, or `None` where all elements of every sample count alike.
fn shares(target: &Target, shape: (usize, usize)) -> Result<Option<Tensor>> {
    let per_sample_only = target.weight().rank() == 1;
    if per_sample_only && element_weight::checked(target.weight())?.iter().all(|w| *w > 0.0) {
        return Ok(None);
    }
    let mut weights = element_weight::per_element(target)?;
    element_weight::to_shares(&mut weights, shape.1);
    Ok(Some(Tensor::from_vec(weights, shape, target.value().device())?))
}
