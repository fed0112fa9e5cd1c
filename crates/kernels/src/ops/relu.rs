//! Rectified linear unit.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use crate::Result;

/// Values per task of the thread pool.
const CHUNK: usize = 1 << 14;

/// `max(x, 0)`; the gradient at 0 is 0.
///
/// # Shapes
/// Any; the result has the shape and dtype of `x`.
///
/// # Errors
/// Only those of candle.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[-1f32, 0.0, 2.0], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::relu(&x)?.to_vec1::<f32>()?, [0.0, 0.0, 2.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if host::applies(x) {
        return Ok(x.contiguous()?.apply_op1(Relu)?);
    }
    Ok(x.relu()?)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        for_real!(host::dtype(x), T => {
            let y = forward::<T>(host::slice(x, layout)?);
            Ok((host::stored(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        for_real!(y.dtype(), T => {
            let dx = host::with_values::<T, _>(y, |y| host::with_values(dy, |dy| Ok(backward::<T>(y, dy))))?;
            Ok(Some(Tensor::from_vec(dx, y.shape(), y.device())?))
        })
    }
}

fn forward<T: Real>(x: &[T]) -> Vec<T> {
    let mut y = vec![T::zero(); x.len()];
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            // Written so that NaN stays NaN: a comparison alone would hide it.
            *y = if x < T::zero() { T::zero() } else { x };
        }
    });
    y
}

fn backward<T: Real>(y: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::zero(); y.len()];
    let inputs = y.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(inputs).for_each(|(dx, (y, dy))| {
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = if y > T::zero() { dy } else { T::zero() };
        }
    });
    dx
}
