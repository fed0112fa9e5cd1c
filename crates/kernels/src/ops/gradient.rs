//! The identity, with another gradient.

use candle_core::Tensor;

use super::host::{self, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::{Error, Result};

/// The identity; the gradient is multiplied by `−lambda` on its way back.
///
/// What lies before it learns to mislead what lies behind it, such as a classifier of domains.
/// Reference: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016, section 4.2.
///
/// # Shapes
/// Any; the result is a copy of `x`.
///
/// # Errors
/// [`Error::Parameter`] for a `lambda` that is negative or not finite.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// let x = Var::new(&[1f64, 2.0], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::gradient_reversal(&x, 0.5)?;
/// assert_eq!(y.to_vec1::<f64>()?, [1.0, 2.0]);
/// assert_eq!(y.backward()?.get(&x).unwrap().to_vec1::<f64>()?, [-0.5, -0.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn gradient_reversal(x: &Tensor, lambda: f64) -> Result<Tensor> {
    if !(lambda >= 0.0 && lambda.is_finite()) {
        return Err(Error::parameter("lambda of gradient_reversal", "a finite number ≥ 0", lambda));
    }
    gradient_scale(x, -lambda)
}

/// The identity; the gradient is multiplied by `factor` on its way back.
///
/// # Shapes
/// Any; the result is a copy of `x`.
///
/// # Errors
/// [`Error::Parameter`] for a `factor` that is not finite.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// let x = Var::new(&[1f64, 2.0], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::gradient_scale(&x, 0.1)?;
/// assert_eq!(y.backward()?.get(&x).unwrap().to_vec1::<f64>()?, [0.1, 0.1]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn gradient_scale(x: &Tensor, factor: f64) -> Result<Tensor> {
    if !factor.is_finite() {
        return Err(Error::parameter("factor of gradient_scale", "a finite number", factor));
    }
    if !host::applies(x) {
        // x itself, and a zero that has its gradient.
        let constant = x.detach();
        return Ok((&constant + ((x - &constant)? * factor)?)?);
    }
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        apply(Scale(factor), &[x], host::read::<T>(&input)?.to_vec(), x.shape())
    })
}

struct Scale(f64);

impl Function for Scale {
    fn name(&self) -> &'static str {
        "gradient_scale"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, _: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        Ok(vec![Some((cotangent * self.0)?.into())])
    }
}
