//! Weighted sums of the gradients of one parameter.

use candle_core::Tensor;

use super::{PIECE, aligned};
use crate::autograd::Gradient;
use crate::ops::fresh::fresh;
use crate::ops::host::{self, Real, for_real};
use crate::simd::{fetch, wide};
use crate::{Error, Result};

/// Numbers that are summed at a time.
const STRIP: usize = 256;

/// Σ wᵢ rᵢ of some gradients of one parameter; rows of weight 0 are not read.
///
/// # Errors
/// [`Error::Shape`] where the gradients differ in shape or are not as many as the weights, or for none at all;
/// [`Error::DType`] where their dtypes differ.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::weighted_sum;
/// let row = |x: [f32; 2]| Ok::<_, candle_core::Error>(Tensor::new(&x, &Device::Cpu)?.into());
/// let sum = weighted_sum(&[row([1.0, 2.0])?, row([3.0, -1.0])?], &[2.0, 1.0])?;
/// assert_eq!(sum.into_dense()?.to_vec1::<f32>()?, [5.0, 3.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn weighted_sum(rows: &[Gradient], weights: &[f64]) -> Result<Gradient> {
    if rows.len() != weights.len() || rows.is_empty() {
        return Err(Error::shape(
            "rows of a weighted sum",
            format!("[{}], ≥ 1", weights.len()),
            &[rows.len()],
        ));
    }
    let aligned = aligned(rows)?;
    let values: Vec<&Tensor> = aligned.iter().map(Gradient::values).collect();
    let dtype = values[0].dtype();
    if let Some(odd) = values.iter().find(|value| value.dtype() != dtype) {
        return Err(Error::dtype("rows of a weighted sum", format!("{dtype:?}, as the first"), odd.dtype()));
    }
    if !host::applies(values[0]) {
        let mut sum = values[0].zeros_like()?;
        for (value, weight) in values.iter().zip(weights).filter(|(_, w)| **w != 0.0) {
            sum = (sum + (*value * *weight)?)?;
        }
        return aligned[0].with_values(sum);
    }
    let chosen = values.iter().zip(weights).filter(|(_, w)| **w != 0.0);
    let (values, weights): (Vec<Tensor>, Vec<f64>) = chosen
        .map(|(v, w)| Ok((v.contiguous()?, *w)))
        .collect::<candle_core::Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    let like = aligned[0].values();
    let sum = for_real!(like.dtype(), T => {
        let guards = values.iter().map(host::read::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let rows: Vec<&[T]> = guards.iter().map(|row| &**row).collect();
        host::tensor(combined::<T>(&rows, &weights, like.elem_count()), like)?
    });
    aligned[0].with_values(sum)
}

fn combined<T: Real>(rows: &[&[T]], weights: &[f64], length: usize) -> Vec<T> {
    let weights: Vec<T> = weights.iter().map(|&weight| T::from_f64(weight)).collect();
    fresh(length, PIECE, |start, sum: &mut [T]| {
        wide(
            #[inline(always)]
            || {
                for (strip, sum) in sum.chunks_mut(STRIP).enumerate() {
                    let start = start + strip * STRIP;
                    for (rows, weights) in rows.chunks(4).zip(weights.chunks(4)) {
                        add_weighted(sum, rows, weights, start);
                    }
                }
            },
        );
    })
}

/// Adds some rows from `start` on: four of them in one pass over the sum, which changes no bit. What is a piece further
/// on is fetched.
#[inline(always)]
fn add_weighted<T: Real>(sum: &mut [T], rows: &[&[T]], weights: &[T], start: usize) {
    rows.iter().for_each(|row| fetch(row, start + PIECE..start + PIECE + sum.len()));
    if let (&[a, b, c, d], &[p, q, r, s]) = (rows, weights) {
        let [a, b, c, d] = [a, b, c, d].map(|row| &row[start..start + sum.len()]);
        for (i, sum) in sum.iter_mut().enumerate() {
            *sum = *sum + p * a[i] + q * b[i] + r * c[i] + s * d[i];
        }
        return;
    }
    for (row, &weight) in rows.iter().zip(weights) {
        sum.iter_mut().zip(&row[start..]).for_each(|(s, &v)| *s += weight * v);
    }
}
