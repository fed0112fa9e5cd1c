//! Pooling over windows of an image.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use super::resize::dims4;
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
    let [.., h, w] = dims4(x, "input of max_pool2d")?;
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
    if host::applies(x) {
        return Ok(x.contiguous()?.apply_op1(MaxPool { kernel, stride })?);
    }
    Ok(x.max_pool2d_with_stride(kernel, stride)?)
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

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (b, c, h, w) = layout.shape().dims4()?;
        let (rows, columns) = (self.output(h), self.output(w));
        for_real!(host::dtype(x), T => {
            let x = host::slice::<T>(x, layout)?;
            let mut y: Vec<T> = vec![0.0; b * c * rows * columns];
            y.par_chunks_mut(rows * columns).zip(x.par_chunks(h * w)).for_each(|(y, x)| {
                self.each_winner(x, [h, w], |window, at| y[window] = x[at]);
            });
            Ok((host::stored(y), Shape::from((b, c, rows, columns))))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        let windows = self.output(h) * self.output(w);
        for_real!(x.dtype(), T => {
            let dx = host::with_values::<T, _>(x, |x| host::with_values::<T, _>(dy, |dy| {
                let mut dx: Vec<T> = vec![0.0; x.len()];
                let planes = x.par_chunks(h * w).zip(dy.par_chunks(windows));
                dx.par_chunks_mut(h * w).zip(planes).for_each(|(dx, (x, dy))| {
                    self.each_winner(x, [h, w], |window, at| dx[at] += dy[window]);
                });
                Ok(dx)
            }))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}
