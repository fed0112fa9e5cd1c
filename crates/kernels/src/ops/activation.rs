//! Activations, by themselves and as the end of another function.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use candle_core::Tensor;
use rayon::prelude::*;

use super::fresh::{brief, fresh};
use super::host::{self, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::{Result, simd::wide};

/// Values per task of the thread pool.
pub(crate) const CHUNK: usize = 1 << 14;

/// What an exponential costs, in comparisons, about.
const MANY: usize = 32;

/// A function of single numbers that follows a layer.
///
/// | name | formula | slope |
/// | --- | --- | --- |
/// | `Identity` | x | 1 |
/// | `Relu` | max(x, 0) | 1 for x > 0, else 0 |
/// | `Gelu` | x Φ(x), Φ that of the normal distribution | Φ(x) + x φ(x) |
/// | `Silu` | x σ(x) | σ(x) (1 + x (1 − σ(x))) |
/// | `Sigmoid` | σ(x) = 1 / (1 + e⁻ˣ) | σ(x) (1 − σ(x)) |
/// | `Tanh` | tanh x | 1 − tanh² x |
///
/// References: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, <https://arxiv.org/abs/1606.08415>;
/// Elfwing, Uchibe, Doya, "Sigmoid-Weighted Linear Units", Neural Networks 107, 2018.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(x, 0)
    Relu,
    /// x Φ(x)
    Gelu,
    /// x σ(x)
    Silu,
    /// σ(x)
    Sigmoid,
    /// tanh x
    Tanh,
}

impl Activation {
    /// The value.
    #[inline(always)]
    pub(crate) fn value<T: Exp>(self, x: T) -> T {
        match self {
            Self::Identity => x,
            // Written so that NaN stays NaN: a comparison alone would hide it.
            Self::Relu => {
                if x < T::zero() {
                    T::zero()
                } else {
                    x
                }
            }
            Self::Gelu => x * normal(x),
            Self::Silu => x * x.sigmoid(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh_fast(),
        }
    }

    /// The slope at a point where `kept` is what [`Activation::keeps`] says.
    #[inline(always)]
    pub(crate) fn slope<T: Exp>(self, kept: T) -> T {
        let one = T::one();
        match self {
            Self::Identity => one,
            Self::Relu => {
                if kept > T::zero() {
                    one
                } else {
                    T::zero()
                }
            }
            Self::Gelu => {
                let density = (kept * kept * T::from_f64(-0.5)).exp_fast();
                normal(kept) + kept * density * T::from_f64(0.398_942_280_401_432_7)
            }
            Self::Silu => {
                let s = kept.sigmoid();
                s * (one + kept * (one - s))
            }
            Self::Sigmoid => kept * (one - kept),
            Self::Tanh => one - kept * kept,
        }
    }

    /// What the slope is computed from.
    pub(crate) fn keeps(self) -> Kept {
        match self {
            Self::Gelu | Self::Silu => Kept::Input,
            Self::Identity | Self::Relu | Self::Sigmoid | Self::Tanh => Kept::Output,
        }
    }

    /// Applies itself to values in place.
    pub(crate) fn map<T: Exp>(self, values: &mut [T]) {
        match self {
            Self::Identity => {}
            Self::Relu => each(values, 1, |x| Self::Relu.value(x)),
            Self::Gelu => each(values, MANY, |x| Self::Gelu.value(x)),
            Self::Silu => each(values, MANY, |x| Self::Silu.value(x)),
            Self::Sigmoid => each(values, MANY, |x| Self::Sigmoid.value(x)),
            Self::Tanh => each(values, MANY, |x| Self::Tanh.value(x)),
        }
    }

    /// dy ∘ slope
    pub(crate) fn pull<T: Exp>(self, dy: &[T], kept: &[T]) -> Vec<T> {
        match self {
            Self::Identity => dy.to_vec(),
            Self::Relu => both(dy, kept, |d, k| if k > T::zero() { d } else { T::zero() }),
            Self::Gelu => both(dy, kept, |d, k| d * Self::Gelu.slope(k)),
            Self::Silu => both(dy, kept, |d, k| d * Self::Silu.slope(k)),
            Self::Sigmoid => both(dy, kept, |d, k| d * Self::Sigmoid.slope(k)),
            Self::Tanh => both(dy, kept, |d, k| d * Self::Tanh.slope(k)),
        }
    }

    /// The gradient of what it was applied to, given that of its value.
    pub(crate) fn before<'a, T: Exp>(self, dy: &'a [T], kept: &Tensor) -> Result<Cow<'a, [T]>> {
        Ok(match self {
            Self::Identity => Cow::Borrowed(dy),
            _ => Cow::Owned(self.pull(dy, &host::read(kept)?)),
        })
    }

    /// The same from candle's operations.
    pub(crate) fn composed(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => x.clone(),
            // Candle's own passes the gradient on at 0.
            Self::Relu => x.gt(0.0)?.where_cond(x, &x.zeros_like()?)?,
            Self::Gelu => x.gelu_erf()?,
            Self::Silu => x.silu()?,
            Self::Sigmoid => candle_nn::ops::sigmoid(x)?,
            Self::Tanh => x.tanh()?,
        })
    }
}

/// Which of its ends the slope of an activation is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Input,
    Output,
}

/// An activation by itself.
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
/// use taskweave_kernels::ops::{Activation, activate};
/// let x = Tensor::new(&[-2f64, 0.0], &Device::Cpu)?;
/// assert_eq!(activate(&x, Activation::Sigmoid)?.to_vec1::<f64>()?[1], 0.5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if activation == Activation::Identity {
        return Ok(x.clone());
    }
    if !host::applies(x) {
        return activation.composed(x);
    }
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        let mut values = host::read::<T>(&input)?.to_vec();
        activation.map(&mut values);
        apply(Activate(activation), &[x], values, x.shape())
    })
}

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
    activate(x, Activation::Relu)
}

struct Activate(Activation);

impl Function for Activate {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        let kept = match self.0.keeps() {
            Kept::Input => call.inputs[0].contiguous()?,
            Kept::Output => call.output.clone(),
        };
        let dx = for_real!(dy.dtype(), T => {
            host::tensor(self.0.pull::<T>(&host::read(&dy)?, &host::read(&kept)?), call.output)?
        });
        Ok(vec![Some(dx.into())])
    }
}

/// Φ(x) = (1 + erf(x/√2)) / 2
#[inline(always)]
fn normal<T: Exp>(x: T) -> T {
    (T::one() + (x * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf()) * T::from_f64(0.5)
}

/// `cost` is about how many comparisons each takes.
fn each<T: Exp>(values: &mut [T], cost: usize, f: impl Fn(T) -> T + Sync) {
    let some = |values: &mut [T]| {
        wide(
            #[inline(always)]
            || values.iter_mut().for_each(|x| *x = f(*x)),
        );
    };
    match brief(cost * values.len()) {
        true => some(values),
        false => values.par_chunks_mut(CHUNK).for_each(some),
    }
}

/// A function of two arrays, number by number.
pub(super) fn both<T: Exp>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    fresh(a.len(), CHUNK, |start, out| {
        let inputs = a[start..].iter().zip(&b[start..]);
        wide(
            #[inline(always)]
            || out.iter_mut().zip(inputs).for_each(|(out, (&a, &b))| *out = f(a, b)),
        );
    })
}
