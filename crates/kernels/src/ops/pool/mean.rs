//! The mean of a whole image or sequence.

use candle_core::Tensor;

use super::super::fresh::{fresh, fresh_light};
use super::super::host::{self, Real, for_real};
use super::super::lanes;
use super::super::resize::dims4;
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::simd::wide;
use crate::{Error, Result};

/// Values that one task of the pool reads, about.
const TASK: usize = 1 << 14;

/// Rows of a sequence that are summed before their sum is added to the others'.
const ROWS: usize = 64;

/// The mean over height and width.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels]`.
///
/// # Errors
/// [`Error::Shape`] for an `x` that has not four dimensions, or no height or width.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 5.0], [3.0, 3.0]]]], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::global_avg_pool2d(&x)?.to_vec2::<f32>()?, [[3.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    let [batch, channels, h, w] = dims4(x, "input of global_avg_pool2d")?;
    if h * w == 0 {
        return Err(Error::shape("input of global_avg_pool2d", "[batch, channels, ≥ 1, ≥ 1]", x.dims()));
    }
    if !host::applies(x) {
        return Ok(x.flatten_from(2)?.mean(2)?);
    }
    let (op, input) = (Mean { count: h * w, width: 1 }, x.contiguous()?);
    for_real!(x.dtype(), T => {
        apply(op, &[x], op.of_planes::<T>(&host::read(&input)?), (batch, channels))
    })
}

/// The mean over the middle dimension, such as the time of a sequence.
///
/// # Shapes
/// `[batch, time, width]` → `[batch, width]`.
///
/// # Errors
/// [`Error::Shape`] for an `x` that has not three dimensions, or no time.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[1f32, 5.0], [3.0, 7.0]]], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::mean_pool1d(&x)?.to_vec2::<f32>()?, [[2.0, 6.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn mean_pool1d(x: &Tensor) -> Result<Tensor> {
    let [batch, time, width] = match *x.dims() {
        [batch, time, width] if time > 0 => [batch, time, width],
        _ => return Err(Error::shape("input of mean_pool1d", "[batch, ≥ 1, width]", x.dims())),
    };
    if !host::applies(x) {
        return Ok(x.mean(1)?);
    }
    let (op, input) = (Mean { count: time, width }, x.contiguous()?);
    for_real!(x.dtype(), T => {
        apply(op, &[x], op.of_sequences::<T>(&host::read(&input)?), (batch, width))
    })
}

/// The mean of every `count` rows of `width` values.
#[derive(Clone, Copy)]
struct Mean {
    count: usize,
    width: usize,
}

impl Mean {
    /// Sequences, or planes, that one task reads.
    fn per_task(self) -> usize {
        (TASK / (self.count * self.width).max(1)).max(1)
    }

    fn of_planes<T: Real>(self, x: &[T]) -> Vec<T> {
        let n = self.count as f64;
        fresh_light(x.len() / self.count, self.per_task(), x.len(), |start, y| {
            let planes = x[start * self.count..].chunks(self.count);
            wide(
                #[inline(always)]
                || {
                    for (y, x) in y.iter_mut().zip(planes) {
                        *y = T::from_f64(lanes::sum(x, |v| v) / n);
                    }
                },
            );
        })
    }

    fn of_sequences<T: Real>(self, x: &[T]) -> Vec<T> {
        let share = T::from_f64(1.0 / self.count as f64);
        fresh_light(x.len() / self.count, self.per_task() * self.width, x.len(), |start, y| {
            let mut part = vec![T::zero(); self.width];
            let sequences = x[start * self.count..].chunks(self.count * self.width);
            wide(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_mut(self.width).zip(sequences) {
                        for rows in x.chunks(ROWS * self.width) {
                            part.fill(T::zero());
                            rows.chunks(self.width).for_each(|row| add(&mut part, row));
                            add(y, &part);
                        }
                        y.iter_mut().for_each(|y| *y *= share);
                    }
                },
            );
        })
    }

    fn backward<T: Real>(self, dy: &[T]) -> Vec<T> {
        let share = T::from_f64(1.0 / self.count as f64);
        let len = self.count * self.width;
        fresh(dy.len() * self.count, self.per_task() * len, |start, dx| {
            let all = dy[start / self.count..].chunks(self.width);
            wide(
                #[inline(always)]
                || {
                    for (dx, dy) in dx.chunks_mut(len).zip(all) {
                        match dy {
                            [dy] => dx.fill(*dy * share),
                            _ => dx.chunks_mut(self.width).for_each(|row| {
                                row.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx = dy * share);
                            }),
                        }
                    }
                },
            );
        })
    }
}

#[inline(always)]
fn add<T: Real>(sum: &mut [T], row: &[T]) {
    sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v);
}

impl Function for Mean {
    fn name(&self) -> &'static str {
        "mean_pool"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (&call.inputs[0], cotangent.contiguous()?);
        let dx = for_real!(x.dtype(), T => host::tensor(Mean::backward::<T>(*self, &host::read(&dy)?), x)?);
        Ok(vec![Some(dx.into())])
    }
}
