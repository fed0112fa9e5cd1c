//! The weighted mean over a batch, the only place where it is formed.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result, Target};

use super::Criterion;
use crate::element_weight;

/// Σ wᵢℓᵢ / Σ wᵢ over a batch.
///
/// Exactly 0 with zero gradient where all weights are 0. A loss of weight 0 is left out rather than multiplied
/// by 0, so that a NaN or an infinity in it does not spread. That blocks the value and the gradient with respect
/// to the *losses*; where the derivative of a loss with respect to its prediction is itself NaN, 0 · NaN is NaN
/// again, which is why the criteria of this crate also leave such a sample out of their own computation.
/// The weights are constants: no gradient flows into them.
///
/// # Shapes
/// - `losses`: `[batch]`, floating point.
/// - `weight`: `[batch]`, floating point, finite and ≥ 0.
/// - result: a scalar in the dtype of `losses`.
///
/// # Errors
/// [`Error::Shape`] for losses that are not `[batch]` or weights of another length, [`Error::Parameter`] for a
/// weight that is negative or not finite.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_loss::weighted_mean;
/// let losses = Tensor::new(&[1f64, f64::NAN, 4.0], &Device::Cpu)?;
/// let weight = Tensor::new(&[2f64, 0.0, 1.0], &Device::Cpu)?;
/// assert_eq!(weighted_mean(&losses, &weight)?.to_scalar::<f64>()?, 2.0); // (2·1 + 1·4) / 3
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn weighted_mean(losses: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if losses.rank() != 1 {
        return Err(Error::shape("losses", "[batch]", losses.dims()));
    }
    if weight.dims() != losses.dims() {
        return Err(Error::shape("weight of the losses", format!("{:?}", losses.dims()), weight.dims()));
    }
    let mut shares = element_weight::checked(weight)?;
    let batch = shares.len();
    element_weight::to_shares(&mut shares, batch);
    let all_count = shares.iter().all(|s| *s > 0.0);
    let shares = Tensor::from_vec(shares, batch, losses.device())?.to_dtype(losses.dtype())?;
    let counted = match all_count {
        true => losses.clone(),
        false => shares.gt(0.0)?.where_cond(losses, &losses.zeros_like()?)?,
    };
    Ok(counted.mul(&shares)?.sum_all()?)
}

/// The weighted mean of a criterion's losses over a batch: [`Criterion::losses`] by [`Criterion::weight`].
///
/// # Errors
/// Those of the criterion and of [`weighted_mean`].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{criterion::Mse, mean_loss};
/// let prediction = Tensor::new(&[1f64, 2.0, 9.0], &Device::Cpu)?;
/// let known = Tensor::new(&[1f64, 1.0, 0.0], &Device::Cpu)?;
/// let target = Target::weighted(Tensor::new(&[0f64, 5.0, 0.0], &Device::Cpu)?, known)?;
/// assert_eq!(mean_loss(&Mse, &prediction, &target)?.to_scalar::<f64>()?, 5.0); // (1 + 9) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn mean_loss(criterion: &dyn Criterion, prediction: &Tensor, target: &Target) -> Result<Tensor> {
    weighted_mean(&criterion.losses(prediction, target)?, &criterion.weight(target)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn without_any_weight_value_and_gradient_are_zero() {
        let losses = Var::from_tensor(&tensor(&[3.0, f64::NAN])).unwrap();
        let mean = weighted_mean(&losses, &tensor(&[0.0, 0.0])).unwrap();
        assert_eq!(mean.to_scalar::<f64>().unwrap(), 0.0);
        let grads = mean.backward().unwrap();
        assert_eq!(grads.get(&losses).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn an_empty_batch_has_the_loss_zero() {
        let none = Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(weighted_mean(&none, &none).unwrap().to_scalar::<f32>().unwrap(), 0.0);
    }

    #[test]
    fn bad_weights_and_shapes_are_refused() {
        let losses = tensor(&[1.0, 2.0]);
        assert!(matches!(weighted_mean(&losses, &tensor(&[1.0, -1.0])), Err(Error::Parameter { .. })));
        assert!(matches!(weighted_mean(&losses, &tensor(&[1.0])), Err(Error::Shape { .. })));
        let matrix = losses.reshape((1, 2)).unwrap();
        assert!(matches!(weighted_mean(&matrix, &matrix), Err(Error::Shape { .. })));
    }
}
