//! The sum of two tensors, such as a layer's output and what goes around it.

use candle_core::Tensor;

use super::activation::CHUNK;
use super::fresh::fresh;
use super::host::{self, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::simd::wide;
use crate::{Error, Result};

/// `a + b`, whose gradient goes to both as it is, without a copy.
///
/// # Shapes
/// Two of one shape and dtype → the same.
///
/// # Errors
/// [`Error::Shape`] and [`Error::DType`] where they differ.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::add(&x, &x)?.to_vec1::<f32>()?, [2.0, 4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        return Err(Error::shape("second term of a sum", format!("{:?}", a.dims()), b.dims()));
    }
    if a.dtype() != b.dtype() {
        return Err(Error::dtype("second term of a sum", format!("{:?}", a.dtype()), b.dtype()));
    }
    if !host::applies(a) {
        return Ok((a + b)?);
    }
    let (left, right) = (a.contiguous()?, b.contiguous()?);
    for_real!(a.dtype(), T => {
        let (x, y) = (host::read::<T>(&left)?, host::read::<T>(&right)?);
        let values = fresh::<T>(x.len(), CHUNK, |start, out| {
            let inputs = x[start..].iter().zip(&y[start..]);
            wide(
                #[inline(always)]
                || out.iter_mut().zip(inputs).for_each(|(out, (&x, &y))| *out = x + y),
            );
        });
        apply(Add, &[a, b], values, a.shape())
    })
}

struct Add;

impl Function for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, _: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        Ok(vec![Some(cotangent.clone().into()), Some(cotangent.clone().into())])
    }
}
