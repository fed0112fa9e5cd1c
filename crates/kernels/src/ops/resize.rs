//! Up-sampling by whole factors.

use candle_core::Tensor;
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use crate::autograd::{Call, Function, Gradient, apply};
use crate::{Error, Result};

/// Repeats every pixel `scale × scale` times; the gradient of a pixel is the sum over its copies.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, scale·h, scale·w]`.
///
/// # Errors
/// [`Error::Parameter`] for `scale = 0`, [`Error::Shape`] for an `x` that has not four dimensions.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 2.0]]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::upsample_nearest2d(&x, 2)?;
/// assert_eq!(y.flatten_to(2)?.to_vec2::<f32>()?, [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn upsample_nearest2d(x: &Tensor, scale: usize) -> Result<Tensor> {
    let [batch, channels, h, w] = dims4(x, "input of upsample_nearest2d")?;
    if scale == 0 {
        return Err(Error::parameter("scale", "at least 1", scale));
    }
    if host::applies(x) {
        let input = x.contiguous()?;
        return for_real!(x.dtype(), T => {
            let values = repeat::<T>(&host::read(&input)?, [h, w], scale);
            apply(Nearest { scale }, &[x], values, (batch, channels, h * scale, w * scale))
        });
    }
    // Candle's own operation overwrites the gradient of its input instead of adding to it.
    let x = x.reshape((batch, channels, h, 1, w, 1))?;
    let x = x.broadcast_as((batch, channels, h, scale, w, scale))?;
    Ok(x.reshape((batch, channels, h * scale, w * scale))?)
}

/// Moves blocks of `scale²` channels into space, the inverse of taking every `scale`-th pixel.
///
/// `y[b, c, h·s + i, w·s + j] = x[b, c·s² + i·s + j, h, w]`.
/// Reference: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
/// Convolutional Neural Network", CVPR 2016.
///
/// # Shapes
/// `[batch, channels·scale², h, w]` → `[batch, channels, scale·h, scale·w]`.
///
/// # Errors
/// [`Error::Shape`] where `scale²` does not divide the channels.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], &Device::Cpu)?.reshape((1, 4, 1, 1))?;
/// let y = taskweave_kernels::ops::pixel_shuffle(&x, 2)?;
/// assert_eq!(y.flatten_to(2)?.to_vec2::<f32>()?, [[1.0, 2.0], [3.0, 4.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn pixel_shuffle(x: &Tensor, scale: usize) -> Result<Tensor> {
    let [batch, channels, h, w] = dims4(x, "input of pixel_shuffle")?;
    let block = scale * scale;
    if block == 0 || channels % block != 0 {
        let expected = format!("[batch, channels divisible by {block}, height, width]");
        return Err(Error::shape("input of pixel_shuffle", expected, x.dims()));
    }
    let x = x.reshape((batch, channels / block, scale, scale, h, w))?;
    let x = x.permute((0, 1, 4, 2, 5, 3))?;
    Ok(x.reshape((batch, channels / block, h * scale, w * scale))?)
}

pub(super) fn dims4(x: &Tensor, what: &str) -> Result<[usize; 4]> {
    x.dims().try_into().map_err(|_| Error::shape(what, "[batch, channels, height, width]", x.dims()))
}

struct Nearest {
    scale: usize,
}

impl Function for Nearest {
    fn name(&self) -> &'static str {
        "upsample_nearest2d"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (&call.inputs[0], cotangent.contiguous()?);
        let [.., h, w] = dims4(x, "input of upsample_nearest2d")?;
        let dx = for_real!(x.dtype(), T => {
            host::tensor(collect::<T>(&host::read(&dy)?, [h, w], self.scale), x)?
        });
        Ok(vec![Some(dx.into())])
    }
}

fn repeat<T: Real>(x: &[T], [h, w]: [usize; 2], scale: usize) -> Vec<T> {
    let mut y = vec![T::zero(); x.len() * scale * scale];
    if y.is_empty() {
        return y;
    }
    let plane = h * w;
    y.par_chunks_mut(plane * scale * scale).zip(x.par_chunks(plane)).for_each(|(y, x)| {
        for (row, y) in y.chunks_mut(w * scale).enumerate() {
            let x = &x[row / scale * w..][..w];
            y.chunks_mut(scale).zip(x).for_each(|(y, &x)| y.fill(x));
        }
    });
    y
}

fn collect<T: Real>(dy: &[T], [h, w]: [usize; 2], scale: usize) -> Vec<T> {
    let plane = h * w;
    let mut dx = vec![T::zero(); dy.len() / (scale * scale)];
    if dx.is_empty() {
        return dx;
    }
    dx.par_chunks_mut(plane).zip(dy.par_chunks(plane * scale * scale)).for_each(|(dx, dy)| {
        for (row, dy) in dy.chunks(w * scale).enumerate() {
            let dx = &mut dx[row / scale * w..][..w];
            for (dx, dy) in dx.iter_mut().zip(dy.chunks(scale)) {
                dy.iter().for_each(|&v| *dx += v);
            }
        }
    });
    dx
}
