//! Whether a tensor holds only finite numbers.

use std::ops::{AddAssign, Mul};

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use crate::{Result, simd::wide};

/// Values per task of the thread pool.
const CHUNK: usize = 1 << 15;

/// Whether no value of `x` is NaN or infinite. Whole numbers always are finite.
///
/// # Errors
/// Only those of candle.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::all_finite;
/// assert!(all_finite(&Tensor::new(&[1f32, -2.0], &Device::Cpu)?)?);
/// assert!(!all_finite(&Tensor::new(&[1f32, f32::INFINITY], &Device::Cpu)?)?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn all_finite(x: &Tensor) -> Result<bool> {
    if !x.dtype().is_float() {
        return Ok(true);
    }
    if host::applies(x) {
        return Ok(for_real!(x.dtype(), T => host::with_values::<T, _>(x, |x| Ok(in_parts(x))))?);
    }
    // 0 · x is 0 for a finite number and NaN for every other, and a sum keeps a NaN.
    let zero = (x * 0.0)?.to_dtype(DType::F32)?.flatten_all()?.sum(0)?.to_scalar::<f32>()?;
    Ok(zero == 0.0)
}

fn in_parts<T: Real>(x: &[T]) -> bool {
    match x.len() {
        0..=CHUNK => all(x),
        _ => x.par_chunks(CHUNK).all(all),
    }
}

fn all<T: Real>(x: &[T]) -> bool {
    wide(
        #[inline(always)]
        || finite(x),
    )
}

/// Whether none of some reals is a NaN or an infinity, on the calling thread; to be called in what is [`wide`].
///
/// # Example
/// ```
/// use taskweave_kernels::finite;
/// assert!(finite(&[1.0, -2.0]) && !finite(&[1.0, f64::NAN]));
/// ```
#[inline(always)]
pub fn finite<T: Copy + Default + PartialEq + AddAssign + Mul<Output = T>>(x: &[T]) -> bool {
    let ((chunks, rest), zero) = (x.as_chunks::<16>(), T::default());
    // 0 · x is 0 for a finite number and NaN for every other, and a sum keeps a NaN.
    let mut odd = [zero; 16];
    chunks.iter().for_each(|x| (0..16).for_each(|k| odd[k] += x[k] * zero));
    odd.iter().chain(rest).all(|x| *x * zero == zero)
}
