//! Softmax and its logarithm over the last dimension.

use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::activation::CHUNK;
use super::host::{self, for_real};
use super::rows::{dot, exponential_sum, exponentials, largest, total};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::simd::wide;
use crate::{Error, Result};

/// `e^xᵢ / Σ e^xⱼ` over the last dimension.
///
/// Does not overflow; a row that holds NaN or nothing but −∞ is NaN.
///
/// # Shapes
/// `x [.., classes]` → the same shape and dtype.
///
/// # Errors
/// [`Error::Shape`] for a tensor without dimensions, [`Error::DType`] for whole numbers.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[1e4f64, 1e4, f64::NEG_INFINITY], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::softmax(&x)?.to_vec1::<f64>()?, [0.5, 0.5, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    run(x, Form::Probabilities)
}

/// `xᵢ − log Σ e^xⱼ` over the last dimension, exact where the probability itself would be 0.
///
/// # Shapes
/// As [`softmax`].
///
/// # Errors
/// As [`softmax`].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[0f64, -5e3], &Device::Cpu)?;
/// assert_eq!(taskweave_kernels::ops::log_softmax(&x)?.to_vec1::<f64>()?, [0.0, -5e3]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    run(x, Form::Logarithms)
}

/// What is made of a row.
#[derive(Clone, Copy)]
enum Form {
    Probabilities,
    Logarithms,
}

fn run(x: &Tensor, form: Form) -> Result<Tensor> {
    let Some(&classes) = x.dims().last() else {
        return Err(Error::shape("input of softmax", "[.., classes]", x.dims()));
    };
    host::require_float(x, "input of softmax")?;
    if !host::applies(x) {
        return Ok(match form {
            _ if x.elem_count() == 0 => x.clone(),
            Form::Probabilities => candle_nn::ops::softmax(x, D::Minus1)?,
            Form::Logarithms => candle_nn::ops::log_softmax(x, D::Minus1)?,
        });
    }
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        let mut y = host::read::<T>(&input)?.to_vec();
        y.par_chunks_mut(rows_of(classes)).for_each(|rows| {
            wide(
                #[inline(always)]
                || rows.chunks_exact_mut(classes).for_each(|row| form.value(row)),
            );
        });
        apply(form, &[x], y, x.shape())
    })
}

/// Values of the rows of one task.
fn rows_of(classes: usize) -> usize {
    classes.max(1) * (CHUNK / classes.max(1)).max(1)
}

impl Form {
    #[inline(always)]
    fn value<T: Exp>(self, row: &mut [T]) {
        let top = largest(row);
        match self {
            Self::Probabilities => {
                let share = T::one() / exponentials(row, top);
                row.iter_mut().for_each(|y| *y *= share);
            }
            Self::Logarithms => {
                let log_sum = T::from_f64(exponential_sum(row, top).to_f64().ln());
                row.iter_mut().for_each(|y| *y = (*y - top) - log_sum);
            }
        }
    }

    /// Turns the gradient of a row's result into that of the row.
    #[inline(always)]
    fn pull<T: Exp>(self, dy: &mut [T], y: &[T]) {
        match self {
            Self::Probabilities => {
                let mean = dot(dy, y);
                dy.iter_mut().zip(y).for_each(|(d, &y)| *d = y * (*d - mean));
            }
            Self::Logarithms => {
                let sum = total(dy);
                dy.iter_mut().zip(y).for_each(|(d, &y)| *d -= y.exp_fast() * sum);
            }
        }
    }
}

impl Function for Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Probabilities => "softmax",
            Self::Logarithms => "log softmax",
        }
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (dy, y) = (cotangent.contiguous()?, call.output.contiguous()?);
        let classes = y.dims().last().copied().unwrap_or(1);
        let dx = for_real!(dy.dtype(), T => {
            let (mut dx, y) = (host::read::<T>(&dy)?.to_vec(), host::read::<T>(&y)?);
            let tasks = dx.par_chunks_mut(rows_of(classes)).zip(y.par_chunks(rows_of(classes)));
            tasks.for_each(|(dx, y)| {
                let rows = dx.chunks_exact_mut(classes).zip(y.chunks_exact(classes));
                wide(
                    #[inline(always)]
                    || rows.for_each(|(dx, y)| self.pull(dx, y)),
                );
            });
            host::tensor(dx, call.output)?
        });
        Ok(vec![Some(dx.into())])
    }
}
