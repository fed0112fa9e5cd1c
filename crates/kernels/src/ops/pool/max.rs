//! The largest value of each window.

use std::ops::Range;

use candle_core::Tensor;

use super::super::fresh::{fresh, fresh_beside};
use super::super::host::{self, Real, for_real};
use super::super::resize::dims4;
use super::quads::Quads;
use super::window::{Pool2d, Spans};
use crate::Result;
use crate::autograd::{Call, Function, Gradient, Samples, apply};

/// The largest value of each `kernel × kernel` window, windows `stride` apart, none beyond the border.
///
/// Among equal values the first in row-major order gets the gradient.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, (h − kernel)/stride + 1, (w − kernel)/stride + 1]`.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a kernel or stride of 0,
/// [`Error::Shape`](crate::Error::Shape) for an image smaller than the window.
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
    max_pool2d_with(x, Pool2d { kernel, stride, padding: 0 })
}

/// The largest value of each window; what lies beyond the border takes no part.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, h', w']`, `h' = (h + 2·padding − kernel)/stride + 1`.
///
/// # Errors
/// As [`max_pool2d`], and [`Error::Parameter`](crate::Error::Parameter) for a padding above half the kernel.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Pool2d, max_pool2d_with};
/// let x = Tensor::new(&[[[[1f32, 5.0], [3.0, 2.0]]]], &Device::Cpu)?;
/// let y = max_pool2d_with(&x, Pool2d { kernel: 2, stride: 2, padding: 1 })?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.0, 5.0, 3.0, 2.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn max_pool2d_with(x: &Tensor, windows: Pool2d) -> Result<Tensor> {
    let [b, c, h, w] = dims4(x, "input of max_pool2d")?;
    let spans = windows.spans("max_pool2d", [h, w])?;
    if !host::applies(x) || windows != Pool2d::default() {
        return largest(x, spans);
    }
    let (quads, input) = (Quads { image: [h, w] }, x.contiguous()?);
    for_real!(x.dtype(), T => {
        let (values, winners) = quads.forward::<T>(&host::read(&input)?);
        apply(QuadPool { quads, winners }, &[x], values, (b, c, h / 2, w / 2))
    })
}

/// The largest value of each of `h' × w'` windows that cover the image evenly.
///
/// Window i of a side with n places goes from ⌊i·n/n'⌋ to ⌈(i + 1)·n/n'⌉, so that windows may overlap.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, h', w']`.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a size of 0, [`Error::Shape`](crate::Error::Shape) for an
/// `x` that is no image.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 5.0, 3.0]]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::adaptive_max_pool2d(&x, [1, 2])?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [5.0, 5.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn adaptive_max_pool2d(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let [_, _, h, w] = dims4(x, "input of adaptive_max_pool2d")?;
    largest(x, Spans::adaptive("adaptive_max_pool2d", [h, w], size)?)
}

fn largest(x: &Tensor, spans: [Spans; 2]) -> Result<Tensor> {
    if !host::applies(x) {
        return composed(x, &spans);
    }
    let (leading, input) = (x.dims4()?, x.contiguous()?);
    let shape = (leading.0, leading.1, spans[0].count(), spans[1].count());
    for_real!(x.dtype(), T => {
        let (values, winners) = forward::<T>(&host::read(&input)?, &spans);
        apply(MaxPool { spans, winners }, &[x], values, shape)
    })
}

/// The largest of what every window shows at its first place, its second, and so on.
fn composed(x: &Tensor, [rows, columns]: &[Spans; 2]) -> Result<Tensor> {
    let (x, mut y) = (x.contiguous()?, None::<Tensor>);
    for row in 0..rows.longest() {
        let lines = x.index_select(&rows.places(row, x.device())?, 2)?;
        for column in 0..columns.longest() {
            let values = lines.index_select(&columns.places(column, x.device())?, 3)?;
            y = Some(match y {
                // The first of equal values gets the gradient; candle's `maximum` shares it out.
                Some(y) => values.gt(&y)?.where_cond(&values, &y)?,
                None => values,
            });
        }
    }
    Ok(y.unwrap_or_else(|| x.clone()))
}

/// The largest values, and their places in the image, plane by plane.
fn forward<T: Real>(x: &[T], [rows, columns]: &[Spans; 2]) -> (Vec<T>, Vec<Vec<u32>>) {
    let (plane, windows) = (rows.size * columns.size, rows.count() * columns.count());
    fresh_beside(x.len() / plane * windows, windows, |start, y| {
        let x = &x[start / windows * plane..][..plane];
        let mut places = Vec::with_capacity(windows);
        for (row, y) in rows.ranges.iter().zip(y.chunks_mut(columns.count())) {
            for (column, y) in columns.ranges.iter().zip(y) {
                let place = winner(x, columns.size, [row, column]);
                *y = x[place];
                places.push(place as u32);
            }
        }
        places
    })
}

/// The place of the largest value of a window. NaN wins, so that it is not hidden.
fn winner<T: Real>(x: &[T], width: usize, [rows, columns]: [&Range<usize>; 2]) -> usize {
    let mut best = rows.start * width + columns.start;
    let mut largest = x[best];
    for row in rows.clone() {
        let line = &x[row * width..][columns.clone()];
        for (column, &value) in columns.clone().zip(line) {
            let wins = (value > largest) | (value.is_nan() & !largest.is_nan());
            // Both are chosen without a branch, which would be taken at random.
            best = if wins { row * width + column } else { best };
            largest = if wins { value } else { largest };
        }
    }
    best
}

struct MaxPool {
    spans: [Spans; 2],
    winners: Vec<Vec<u32>>,
}

impl Function for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (&call.inputs[0], cotangent.contiguous()?);
        let [rows, columns] = &self.spans;
        let (plane, windows) = (rows.size * columns.size, rows.count() * columns.count());
        let dx = for_real!(x.dtype(), T => {
            let dy = host::read::<T>(&dy)?;
            host::tensor(fresh(x.elem_count(), plane, |start, dx: &mut [T]| {
                let dy = dy[start / plane * windows..].iter();
                self.winners[start / plane].iter().zip(dy).for_each(|(&place, &dy)| dx[place as usize] += dy);
            }), x)?
        });
        Ok(vec![Some(dx.into())])
    }
}

struct QuadPool {
    quads: Quads,
    winners: Vec<Vec<u8>>,
}

impl Function for QuadPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (&call.inputs[0], cotangent.contiguous()?);
        let dx = for_real!(x.dtype(), T => {
            host::tensor(self.quads.backward::<T>(&host::read(&dy)?, &self.winners), x)?
        });
        Ok(vec![Some(dx.into())])
    }
}
