//! Up-sampling by whole factors.

use candle_core::Tensor;

use super::fresh::fresh;
use super::host::{self, Real, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::simd::wide;
use crate::{Error, Result};

/// The largest factor; beyond it, sizes are not those of images.
const MOST: usize = 1 << 12;

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
    if scale == 0 || scale > MOST {
        return Err(Error::parameter("scale", format!("1 to {MOST}"), scale));
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
    let block = scale.min(MOST + 1).pow(2);
    if scale > MOST || block == 0 || channels % block != 0 {
        let expected = format!("[batch, channels divisible by {block}, height, width]");
        return Err(Error::shape("input of pixel_shuffle", expected, x.dims()));
    }
    // Candle's own operations cannot begin beyond the end of a storage.
    if x.elem_count() == 0 && x.layout().start_offset() > 0 {
        let shape = (batch, channels / block, h.saturating_mul(scale), w.saturating_mul(scale));
        return Ok(Tensor::zeros(shape, x.dtype(), x.device())?);
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

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
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
    let (plane, lines) = (h * w, w * scale * scale);
    fresh(x.len() * scale * scale, plane * scale * scale, |start, y| {
        let x = x[start / (scale * scale)..].chunks(w);
        wide(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_mut(lines).zip(x) {
                    let (first, copies) = y.split_at_mut(w * scale);
                    widen(first, x, scale);
                    copies.chunks_mut(w * scale).for_each(|copy| copy.copy_from_slice(first));
                }
            },
        );
    })
}

#[inline(always)]
fn widen<T: Real>(y: &mut [T], x: &[T], scale: usize) {
    match scale {
        2 => y.chunks_exact_mut(2).zip(x).for_each(|(y, &x)| (y[0], y[1]) = (x, x)),
        _ => y.chunks_mut(scale).zip(x).for_each(|(y, &x)| y.iter_mut().for_each(|y| *y = x)),
    }
}

/// Adds up the lines of a block first, which is done in vectors, and then along the line.
fn collect<T: Real>(dy: &[T], [h, w]: [usize; 2], scale: usize) -> Vec<T> {
    let (plane, lines) = (h * w, w * scale * scale);
    fresh(dy.len() / (scale * scale), plane, |start, dx| {
        let dy = dy[start * scale * scale..].chunks(lines);
        let mut line = vec![T::zero(); w * scale];
        wide(
            #[inline(always)]
            || {
                for (dx, dy) in dx.chunks_mut(w).zip(dy) {
                    line.fill(T::zero());
                    for dy in dy.chunks(w * scale) {
                        line.iter_mut().zip(dy).for_each(|(sum, &v)| *sum += v);
                    }
                    narrow(dx, &line, scale);
                }
            },
        );
    })
}

#[inline(always)]
fn narrow<T: Real>(dx: &mut [T], line: &[T], scale: usize) {
    match scale {
        2 => dx.iter_mut().zip(line.chunks_exact(2)).for_each(|(dx, v)| *dx = v[0] + v[1]),
        _ => dx.iter_mut().zip(line.chunks(scale)).for_each(|(dx, v)| {
            *dx = v.iter().fold(T::zero(), |sum, &v| sum + v);
        }),
    }
}
