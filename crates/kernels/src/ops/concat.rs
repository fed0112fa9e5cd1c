//! The values of each sample from several tensors, side by side.

use candle_core::Tensor;
use rayon::prelude::*;

use super::fresh::fresh;
use super::host::{self, Real, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::{Error, Result};

/// Samples per task of the thread pool.
const ROWS: usize = 64;

/// The values of each sample from several tensors, one after the other, such as embedded ids beside numbers.
///
/// # Shapes
/// Tensors `[batch, ..]` of one dtype → `[batch, Σ values per sample]`.
///
/// # Errors
/// [`Error::Shape`] for another number of samples or a tensor without dimensions, [`Error::DType`] where dtypes
/// differ, [`Error::Parameter`] for no tensor at all.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let a = Tensor::new(&[[[1f32], [2.0]], [[5.0], [6.0]]], &Device::Cpu)?;
/// let b = Tensor::new(&[[3f32], [7.0]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::concat_features(&[&a, &b])?;
/// assert_eq!(y.to_vec2::<f32>()?, [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn concat_features(tensors: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = tensors.first() else {
        return Err(Error::parameter("tensors side by side", "at least one", "none"));
    };
    let batch = *first.dims().first().unwrap_or(&0);
    for tensor in tensors {
        if tensor.rank() == 0 || tensor.dims()[0] != batch {
            return Err(Error::shape("tensors side by side", format!("[{batch}, ..]"), tensor.dims()));
        }
        if tensor.dtype() != first.dtype() {
            let expected = format!("{:?}", first.dtype());
            return Err(Error::dtype("tensors side by side", expected, tensor.dtype()));
        }
    }
    let widths: Vec<usize> = tensors.iter().map(|t| t.dims()[1..].iter().product()).collect();
    let total = widths.iter().sum::<usize>();
    if !host::applies(first) {
        let flat = tensors.iter().zip(&widths).map(|(t, &width)| t.reshape((batch, width)));
        return Ok(Tensor::cat(&flat.collect::<candle_core::Result<Vec<_>>>()?, 1)?);
    }
    let dense = tensors.iter().map(|t| t.contiguous()).collect::<candle_core::Result<Vec<_>>>()?;
    for_real!(first.dtype(), T => {
        let read = dense.iter().map(host::read::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let values = fresh::<T>(batch * total, ROWS * total, |start, out| {
            let mut from = 0;
            for (values, &width) in read.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                let rows = values[start / total * width..].chunks(width);
                out.chunks_mut(total).zip(rows).for_each(|(out, row)| out[from..from + width].copy_from_slice(row));
                from += width;
            }
        });
        apply(Concat { widths }, tensors, values, (batch, total))
    })
}

struct Concat {
    widths: Vec<usize>,
}

impl Concat {
    fn part<T: Real>(&self, dy: &[T], i: usize) -> Vec<T> {
        let (total, width) = (self.widths.iter().sum::<usize>(), self.widths[i]);
        let from = self.widths[..i].iter().sum::<usize>();
        let mut dx = vec![T::zero(); dy.len().checked_div(total).unwrap_or(0) * width];
        if !dx.is_empty() {
            dx.par_chunks_mut(width * ROWS).zip(dy.par_chunks(total * ROWS)).for_each(|(dx, dy)| {
                let rows = dx.chunks_mut(width).zip(dy.chunks(total));
                rows.for_each(|(dx, dy)| dx.copy_from_slice(&dy[from..from + width]));
            });
        }
        dx
    }
}

impl Function for Concat {
    fn name(&self) -> &'static str {
        "concat_features"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        let part = |i: usize| -> Result<Option<Gradient>> {
            if !call.wants(i) {
                return Ok(None);
            }
            for_real!(dy.dtype(), T => {
                Ok(Some(host::tensor(self.part::<T>(&host::read(&dy)?, i), &call.inputs[i])?.into()))
            })
        };
        (0..self.widths.len()).map(part).collect()
    }
}
