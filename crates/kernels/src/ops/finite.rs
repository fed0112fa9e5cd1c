//! Whether a tensor holds only finite numbers.

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
        return Ok(for_real!(x.dtype(), T => host::with_values::<T, _>(x, |x| Ok(finite(x))))?);
    }
    // 0 · x is 0 for a finite number and NaN for every other, and a sum keeps a NaN.
    let zero = (x * 0.0)?.to_dtype(DType::F32)?.flatten_all()?.sum(0)?.to_scalar::<f32>()?;
    Ok(zero == 0.0)
}

fn finite<T: Real>(x: &[T]) -> bool {
    match x.len() {
        0..=CHUNK => all(x),
        _ => x.par_chunks(CHUNK).all(all),
    }
}

fn all<T: Real>(x: &[T]) -> bool {
    wide(
        #[inline(always)]
        || {
            let (chunks, rest) = x.as_chunks::<16>();
            let mut odd = [T::zero(); 16];
            // 0 · x is 0 for a finite number and NaN for every other, and a sum keeps a NaN.
            chunks.iter().for_each(|x| (0..16).for_each(|k| odd[k] += x[k] * T::zero()));
            odd.iter().chain(rest).all(|x| x.is_finite())
        },
    )
}
