//! Linear maps of images that treat rows and columns apart: y = R x Cᵀ for every plane x.
//!
//! Each row of R and C is zero but for a few neighbors. A row of y is taken in two steps: the rows of x that it
//! is made of become one line, and the columns of that line become the row. The gradient takes the same steps
//! back.

use candle_core::{Device, Tensor};

use super::fresh::fresh;
use super::host::{self, Real, for_real};
use crate::Result;
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::simd::wide;

/// What one place of the result is made of.
#[derive(Clone)]
pub(super) struct Taps {
    /// The first of the neighbors.
    pub(super) start: usize,
    /// How much each of them counts.
    pub(super) weights: Vec<f64>,
}

/// A matrix of a row of [`Taps`] for each place of the result.
#[derive(Clone)]
pub(super) struct Axis {
    /// Places before.
    pub(super) size: usize,
    pub(super) taps: Vec<Taps>,
}

impl Axis {
    fn matrix(&self, like: &Tensor) -> Result<Tensor> {
        let mut values = vec![0.0; self.taps.len() * self.size];
        for (row, taps) in values.chunks_mut(self.size.max(1)).zip(&self.taps) {
            row[taps.start..][..taps.weights.len()].copy_from_slice(&taps.weights);
        }
        Ok(Tensor::from_vec(values, (self.taps.len(), self.size), &Device::Cpu)?
            .to_dtype(like.dtype())?
            .to_device(like.device())?)
    }

    fn rounded<T: Real>(&self) -> Vec<(usize, Vec<T>)> {
        let of = |taps: &Taps| (taps.start, taps.weights.iter().map(|&w| T::from_f64(w)).collect());
        self.taps.iter().map(of).collect()
    }
}

/// R and C, and the name of what they do.
pub(super) struct Separable {
    pub(super) name: &'static str,
    pub(super) axes: [Axis; 2],
}

impl Separable {
    /// R x Cᵀ for images `[batch, channels, h, w]`.
    pub(super) fn of(self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, h, w) = x.dims4()?;
        let [rows, columns] = self.axes.each_ref().map(|axis| axis.taps.len());
        if !host::applies(x) {
            let x = x.reshape((batch * channels, h, w))?;
            let lines = self.axes[0].matrix(&x)?.broadcast_matmul(&x)?;
            let y = lines.broadcast_matmul(&self.axes[1].matrix(&x)?.t()?)?;
            return Ok(y.reshape((batch, channels, rows, columns))?);
        }
        let input = x.contiguous()?;
        for_real!(x.dtype(), T => {
            let values = self.forward::<T>(&host::read(&input)?);
            apply(self, &[x], values, (batch, channels, rows, columns))
        })
    }

    /// Values of a plane before and after.
    fn planes(&self) -> [usize; 2] {
        let [rows, columns] = &self.axes;
        [rows.size * columns.size, rows.taps.len() * columns.taps.len()]
    }

    fn forward<T: Real>(&self, x: &[T]) -> Vec<T> {
        let ([before, after], width) = (self.planes(), self.axes[1].size);
        let [rows, columns] = self.axes.each_ref().map(Axis::rounded::<T>);
        fresh(x.len() / before.max(1) * after, after, |start, y| {
            let x = &x[start / after * before..][..before];
            let mut line = vec![T::zero(); width];
            wide(
                #[inline(always)]
                || {
                    for ((first, weights), y) in rows.iter().zip(y.chunks_mut(columns.len())) {
                        line.fill(T::zero());
                        for (&weight, x) in weights.iter().zip(x[first * width..].chunks(width)) {
                            line.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x * weight);
                        }
                        gather(y, &line, &columns);
                    }
                },
            );
        })
    }

    fn backward<T: Real>(&self, dy: &[T]) -> Vec<T> {
        let ([before, after], width) = (self.planes(), self.axes[1].size);
        let [rows, columns] = self.axes.each_ref().map(Axis::rounded::<T>);
        fresh(dy.len() / after * before, before, |start, dx| {
            let dy = &dy[start / before * after..][..after];
            let mut line = vec![T::zero(); width];
            wide(
                #[inline(always)]
                || {
                    for ((first, weights), dy) in rows.iter().zip(dy.chunks(columns.len())) {
                        line.fill(T::zero());
                        scatter(&mut line, dy, &columns);
                        for (&weight, dx) in weights.iter().zip(dx[first * width..].chunks_mut(width)) {
                            dx.iter_mut().zip(&line).for_each(|(sum, &v)| *sum += v * weight);
                        }
                    }
                },
            );
        })
    }
}

#[inline(always)]
fn gather<T: Real>(y: &mut [T], line: &[T], columns: &[(usize, Vec<T>)]) {
    for (y, (first, weights)) in y.iter_mut().zip(columns) {
        let products = line[*first..].iter().zip(weights).map(|(&v, &weight)| v * weight);
        *y = products.fold(T::zero(), |sum, v| sum + v);
    }
}

#[inline(always)]
fn scatter<T: Real>(line: &mut [T], dy: &[T], columns: &[(usize, Vec<T>)]) {
    for (&dy, (first, weights)) in dy.iter().zip(columns) {
        line[*first..].iter_mut().zip(weights).for_each(|(sum, &weight)| *sum += dy * weight);
    }
}

impl Function for Separable {
    fn name(&self) -> &'static str {
        self.name
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (&call.inputs[0], cotangent.contiguous()?);
        let dx = for_real!(x.dtype(), T => host::tensor(self.backward::<T>(&host::read(&dy)?), x)?);
        Ok(vec![Some(dx.into())])
    }
}
