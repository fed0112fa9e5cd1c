//! Pooling over windows of an image.

use candle_core::Tensor;
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use super::resize::dims4;
use crate::autograd::{Call, Function, Gradient, apply};
use crate::{Error, Result};

/// The largest value of each `kernel × kernel` window, windows `stride` apart, none beyond the border.
///
/// Among equal values the first in row-major order gets the gradient.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, (h − kernel)/stride + 1, (w − kernel)/stride + 1]`.
///
/// # Errors
/// [`Error::Parameter`] for a kernel or stride of 0, [`Error::Shape`] for an image smaller than the window.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 5.0], [3.0, 2.0]]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::max_pool2d(&x, 2, 2)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [5.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let [b, c, h, w] = dims4(x, "input of max_pool2d")?;
    if kernel == 0 || stride == 0 {
        return Err(Error::parameter(
            "kernel and stride of max_pool2d",
            "at least 1",
            format!("{kernel}, {stride}"),
        ));
    }
    if h < kernel || w < kernel {
        let expected = format!("[batch, channels, ≥ {kernel}, ≥ {kernel}]");
        return Err(Error::shape("input of max_pool2d", expected, x.dims()));
    }
    if !host::applies(x) {
        return Ok(x.max_pool2d_with_stride(kernel, stride)?);
    }
    let (op, input) = (MaxPool { kernel, stride }, x.contiguous()?);
    for_real!(x.dtype(), T => {
        let values = op.forward::<T>(&host::read(&input)?, [h, w]);
        apply(op, &[x], values, [b, c, op.output(h), op.output(w)].as_slice())
    })
}

/// The mean over height and width.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels]`.
///
/// # Errors
/// [`Error::Shape`] for an `x` that has not four dimensions.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 5.0], [3.0, 3.0]]]], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::global_avg_pool2d(&x)?.to_vec2::<f32>()?, [[3.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    dims4(x, "input of global_avg_pool2d")?;
    Ok(x.flatten_from(2)?.mean(2)?)
}

#[derive(Clone, Copy)]
struct MaxPool {
    kernel: usize,
    stride: usize,
}

impl MaxPool {
    fn output(&self, size: usize) -> usize {
        (size - self.kernel) / self.stride + 1
    }

    fn forward<T: Real>(&self, x: &[T], [h, w]: [usize; 2]) -> Vec<T> {
        let windows = self.output(h) * self.output(w);
        let mut y = vec![T::zero(); x.len() / (h * w) * windows];
        y.par_chunks_mut(windows).zip(x.par_chunks(h * w)).for_each(|(y, x)| {
            self.each_winner(x, [h, w], |window, at| y[window] = x[at]);
        });
        y
    }

    fn backward<T: Real>(&self, x: &[T], dy: &[T], [h, w]: [usize; 2]) -> Vec<T> {
        let windows = self.output(h) * self.output(w);
        let mut dx = vec![T::zero(); x.len()];
        let planes = x.par_chunks(h * w).zip(dy.par_chunks(windows));
        dx.par_chunks_mut(h * w).zip(planes).for_each(|(dx, (x, dy))| {
            self.each_winner(x, [h, w], |window, at| dx[at] += dy[window]);
        });
        dx
    }

    /// Calls `f(window, place)` with the place of the largest value of each window of one plane. A NaN wins, so
    /// that it is not hidden.
    fn each_winner<T: Real>(&self, x: &[T], [h, w]: [usize; 2], mut f: impl FnMut(usize, usize)) {
        let (rows, columns) = (self.output(h), self.output(w));
        for row in 0..rows {
            for column in 0..columns {
                let corner = row * self.stride * w + column * self.stride;
                f(row * columns + column, self.winner(x, corner, w));
            }
        }
    }

    fn winner<T: Real>(&self, x: &[T], corner: usize, w: usize) -> usize {
        let (mut best, mut largest) = (corner, x[corner]);
        for row in 0..self.kernel {
            let start = corner + row * w;
            for (at, &value) in x[start..start + self.kernel].iter().enumerate() {
                if value > largest || value.is_nan() {
                    (best, largest) = (start + at, value);
                }
            }
        }
        best
    }
}

impl Function for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (call.inputs[0].contiguous()?, cotangent.contiguous()?);
        let [.., h, w] = dims4(&x, "input of max_pool2d")?;
        let dx = for_real!(x.dtype(), T => {
            host::tensor(self.backward::<T>(&host::read(&x)?, &host::read(&dy)?, [h, w]), &x)?
        });
        Ok(vec![Some(dx.into())])
    }
}
