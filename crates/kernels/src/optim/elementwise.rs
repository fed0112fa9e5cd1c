//! The arithmetic that update formulas are written in: over single numbers and over tensors alike.

use std::convert::Infallible;

use candle_core::{Result as CandleResult, Tensor};

/// Arithmetic element by element.
///
/// A formula is written once against this trait. On `f32` and `f64` it compiles to plain arithmetic that
/// cannot fail; on [`Tensor`] it becomes a composition of tensor operations in the same order, hence with the
/// same rounding.
///
/// # Example
/// ```
/// use taskweave_kernels::optim::Elementwise;
/// let Ok(y) = 3f64.plus(2.0, &4.0);
/// assert_eq!(y, 11.0);
/// ```
pub trait Elementwise: Sized {
    /// What can go wrong.
    type Error;

    /// factor · self
    ///
    /// # Errors
    /// Those of the tensor library.
    fn scaled(&self, factor: f64) -> Result<Self, Self::Error>;

    /// self + shift
    ///
    /// # Errors
    /// Those of the tensor library.
    fn shifted(&self, shift: f64) -> Result<Self, Self::Error>;

    /// self + factor · other
    ///
    /// # Errors
    /// Those of the tensor library.
    fn plus(&self, factor: f64, other: &Self) -> Result<Self, Self::Error>;

    /// self · other
    ///
    /// # Errors
    /// Those of the tensor library.
    fn times(&self, other: &Self) -> Result<Self, Self::Error>;

    /// self / other
    ///
    /// # Errors
    /// Those of the tensor library.
    fn over(&self, other: &Self) -> Result<Self, Self::Error>;

    /// √self
    ///
    /// # Errors
    /// Those of the tensor library.
    fn root(&self) -> Result<Self, Self::Error>;

    /// max(self, other)
    ///
    /// # Errors
    /// Those of the tensor library.
    fn larger(&self, other: &Self) -> Result<Self, Self::Error>;

    /// factor · self + (1 − factor) · other: one step of an exponential mean.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn blended(&self, factor: f64, other: &Self) -> Result<Self, Self::Error> {
        self.scaled(factor)?.plus(1.0 - factor, other)
    }
}

macro_rules! number {
    ($number:ty) => {
        impl Elementwise for $number {
            type Error = Infallible;

            #[inline(always)]
            fn scaled(&self, factor: f64) -> Result<Self, Infallible> {
                Ok(factor as $number * self)
            }

            #[inline(always)]
            fn shifted(&self, shift: f64) -> Result<Self, Infallible> {
                Ok(self + shift as $number)
            }

            #[inline(always)]
            fn plus(&self, factor: f64, other: &Self) -> Result<Self, Infallible> {
                Ok(self + factor as $number * other)
            }

            #[inline(always)]
            fn times(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(self * other)
            }

            #[inline(always)]
            fn over(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(self / other)
            }

            #[inline(always)]
            fn root(&self) -> Result<Self, Infallible> {
                Ok(self.sqrt())
            }

            #[inline(always)]
            fn larger(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(if self > other { *self } else { *other })
            }
        }
    };
}

number!(f32);
number!(f64);

impl Elementwise for Tensor {
    type Error = candle_core::Error;

    fn scaled(&self, factor: f64) -> CandleResult<Self> {
        self.affine(factor, 0.0)
    }

    fn shifted(&self, shift: f64) -> CandleResult<Self> {
        self.affine(1.0, shift)
    }

    fn plus(&self, factor: f64, other: &Self) -> CandleResult<Self> {
        self + other.affine(factor, 0.0)?
    }

    fn times(&self, other: &Self) -> CandleResult<Self> {
        self * other
    }

    fn over(&self, other: &Self) -> CandleResult<Self> {
        self / other
    }

    fn root(&self) -> CandleResult<Self> {
        self.sqrt()
    }

    fn larger(&self, other: &Self) -> CandleResult<Self> {
        self.maximum(other)
    }
}
