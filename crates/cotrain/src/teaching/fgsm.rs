//! The fast gradient sign method: the step of a given size that raises a loss most, to first order.
//!
//! The input x becomes
//!     x' = x + ε·sign(∂ℓ/∂x).
//! Guarantees: no value moves by more than ε; on a loss that is linear in x with the gradient w, the loss rises by
//! exactly ε‖w‖₁. Cost: one forward and one backward pass to the input.
//! Variants: not cut off at the range of the data.
//! Reference: Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015,
//! <https://arxiv.org/abs/1412.6572>.

use candle_core::{Tensor, Var};
use taskweave_kernels::{Error, Result, autograd};

/// The input within ε of `x` that raises a loss most, to first order.
///
/// # Errors
/// [`Error::DType`] for an input that is not floating point, and those of the loss.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_cotrain::teaching::fgsm;
/// let w = Tensor::new(&[2f64, -3.0, 0.0], &Device::Cpu)?;
/// let x = Tensor::new(&[1f64, 1.0, 1.0], &Device::Cpu)?;
/// let worse = fgsm(&x, 0.5, |x| Ok(x.mul(&w)?.sum_all()?))?;
/// assert_eq!(worse.to_vec1::<f64>()?, [1.5, 0.5, 1.0]);
/// let rise = ((worse - x)? * w)?.sum_all()?.to_scalar::<f64>()?;
/// assert_eq!(rise, 0.5 * 5.0); // ε‖w‖₁
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn fgsm(x: &Tensor, epsilon: f64, loss: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(Error::dtype("input of an adversarial example", "a floating-point dtype", x.dtype()));
    }
    let input = Var::from_tensor(&x.copy()?.detach())?;
    let (loss, tape) = autograd::record(|| loss(input.as_tensor()))?;
    match tape.backward(&[(&loss, None)], &[input.as_tensor()])?.dense(&input)? {
        Some(gradient) => Ok((x.detach() + gradient.sign()?.affine(epsilon, 0.0)?)?),
        None => Ok(x.detach()),
    }
}
