//! Gradients of several tasks with respect to one parameter, side by side: their inner products and sums.
//!
//! Both read every row once, piece by piece, so that a piece of all rows lies in cache. Products are summed in
//! f64, eight numbers at a time side by side, pieces in order: results do not depend on the number of threads.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::autograd::Gradient;
use crate::ops::host::{self, Real, for_real};
use crate::simd::wide;
use crate::{Error, Result};

/// Numbers of a row that are multiplied at a time.
const PIECE: usize = 4096;

/// Pieces whose products are summed by one task.
const GROUP: usize = 16;

/// The inner products ⟨rᵢ, rⱼ⟩ of some gradients of one parameter, row by row, in f64.
///
/// # Errors
/// [`Error::Shape`] where the gradients differ in shape.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::inner_products;
/// let row = |x: [f32; 2]| Ok::<_, candle_core::Error>(Tensor::new(&x, &Device::Cpu)?.into());
/// assert_eq!(inner_products(&[row([1.0, 2.0])?, row([3.0, -1.0])?])?, [5.0, 1.0, 1.0, 10.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn inner_products(rows: &[Gradient]) -> Result<Vec<f64>> {
    let (rows, dtype) = on_host(&aligned(rows)?)?;
    let size = rows.len();
    Ok(for_real!(dtype, T => {
        let guards = rows.iter().map(host::read::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let slices: Vec<&[T]> = guards.iter().map(|row| &**row).collect();
        symmetric(upper_products(&slices, &slices), size)
    }))
}

/// The products ⟨aᵢ, bⱼ⟩ where they make a symmetric matrix; an empty row counts as zero.
pub(crate) fn cross_products<T: Real>(a: &[Vec<T>], b: &[Vec<T>]) -> Vec<f64> {
    let present: Vec<usize> = (0..a.len()).filter(|&i| !a[i].is_empty()).collect();
    let left: Vec<&[T]> = present.iter().map(|&i| a[i].as_slice()).collect();
    let right: Vec<&[T]> = present.iter().map(|&i| b[i].as_slice()).collect();
    let packed = symmetric(upper_products(&left, &right), present.len());
    let mut products = vec![0.0; a.len() * a.len()];
    for (row, &i) in packed.chunks(present.len().max(1)).zip(&present) {
        row.iter().zip(&present).for_each(|(&product, &j)| products[i * a.len() + j] = product);
    }
    products
}

/// The whole matrix, given its upper triangle.
fn symmetric(mut products: Vec<f64>, size: usize) -> Vec<f64> {
    for i in 0..size {
        for j in 0..i {
            products[i * size + j] = products[j * size + i];
        }
    }
    products
}

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

/// The same gradients with the same rows kept in each.
fn aligned(rows: &[Gradient]) -> Result<Vec<Gradient>> {
    if let Some(odd) = rows.iter().find(|row| row.shape() != rows[0].shape()) {
        return Err(Error::shape("gradient", format!("{:?}", rows[0].shape()), odd.shape().dims()));
    }
    let alike = |row: &Gradient| match (row, &rows[0]) {
        (Gradient::Dense(_), Gradient::Dense(_)) => true,
        (Gradient::Rows(a), Gradient::Rows(b)) => a.rows() == b.rows(),
        _ => false,
    };
    match rows.iter().all(alike) {
        true => Ok(rows.to_vec()),
        false => rows.iter().map(|row| Ok(row.clone().into_dense()?.into())).collect(),
    }
}

/// Contiguous values on the host, in one dtype.
fn on_host(rows: &[Gradient]) -> Result<(Vec<Tensor>, DType)> {
    let single = rows.iter().all(|row| row.values().dtype() == DType::F32);
    let dtype = if single { DType::F32 } else { DType::F64 };
    let host = rows.iter().map(|row| row.values().to_device(&Device::Cpu)?.to_dtype(dtype)?.contiguous());
    Ok((host.collect::<candle_core::Result<_>>()?, dtype))
}

/// The products ⟨aᵢ, bⱼ⟩ for i ≤ j.
fn upper_products<T: Real>(rows: &[&[T]], others: &[&[T]]) -> Vec<f64> {
    let length = rows.first().map_or(0, |row| row.len());
    let groups = length.div_ceil(PIECE * GROUP);
    let of_group = |group: usize| {
        let mut sums = vec![0.0; rows.len() * rows.len()];
        let (from, to) = (group * GROUP * PIECE, length.min((group + 1) * GROUP * PIECE));
        for start in (from..to).step_by(PIECE) {
            let end = to.min(start + PIECE);
            wide(
                #[inline(always)]
                || add_products([rows, others], start..end, &mut sums),
            );
        }
        sums
    };
    let parts: Vec<Vec<f64>> = (0..groups).into_par_iter().map(of_group).collect();
    let mut total = vec![0.0; rows.len() * rows.len()];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, p)| *sum += p);
    }
    total
}

/// Adds the products of one piece to the upper triangle.
#[inline(always)]
fn add_products<T: Real>([rows, others]: [&[&[T]]; 2], piece: std::ops::Range<usize>, sums: &mut [f64]) {
    let size = rows.len();
    for i in 0..size {
        let a = &rows[i][piece.clone()];
        for j in i..size {
            sums[i * size + j] += dot(a, &others[j][piece.clone()]);
        }
    }
}

#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.0.iter().zip(b.0) {
        for k in 0..8 {
            lanes[k] += x[k].to_f64() * y[k].to_f64();
        }
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    rest + lanes.iter().sum::<f64>()
}

fn combined<T: Real>(rows: &[&[T]], weights: &[f64], length: usize) -> Vec<T> {
    let mut sum = vec![T::zero(); length];
    sum.par_chunks_mut(PIECE).enumerate().for_each(|(piece, sum)| {
        let (start, end) = (piece * PIECE, piece * PIECE + sum.len());
        wide(
            #[inline(always)]
            || {
                for (row, &weight) in rows.iter().zip(weights) {
                    let weight = T::from_f64(weight);
                    sum.iter_mut().zip(&row[start..end]).for_each(|(s, &v)| *s += weight * v);
                }
            },
        );
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::RowGradient;

    fn dense(values: &[[f64; 2]]) -> Gradient {
        Tensor::from_vec(values.concat(), (values.len(), 2), &Device::Cpu).unwrap().into()
    }

    fn sparse(rows: &[u32], values: &[[f64; 2]]) -> Gradient {
        let values = Tensor::from_vec(values.concat(), (values.len(), 2), &Device::Cpu).unwrap();
        Gradient::Rows(RowGradient::new(rows.to_vec(), values, 3).unwrap())
    }

    #[test]
    fn rows_that_are_kept_differently_meet() {
        let all = dense(&[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]);
        let (ends, first) = (sparse(&[0, 2], &[[1.0, 2.0], [3.0, 4.0]]), sparse(&[0], &[[2.0, 0.0]]));
        assert_eq!(inner_products(&[all, ends.clone()]).unwrap(), [30.0; 4]);
        assert_eq!(inner_products(&[ends.clone(), first.clone()]).unwrap(), [30.0, 2.0, 2.0, 4.0]);
        assert_eq!(inner_products(&[ends.clone(), ends.clone()]).unwrap(), [30.0; 4]);
        let sum = weighted_sum(&[ends.clone(), first], &[1.0, 10.0]).unwrap().into_dense().unwrap();
        assert_eq!(sum.to_vec2::<f64>().unwrap(), [[21.0, 2.0], [0.0, 0.0], [3.0, 4.0]]);
        assert!(matches!(weighted_sum(std::slice::from_ref(&ends), &[2.0]).unwrap(), Gradient::Rows(_)));
        assert!(matches!(weighted_sum(std::slice::from_ref(&ends), &[]), Err(Error::Shape { .. })));
        assert!(matches!(inner_products(&[ends, dense(&[[1.0, 2.0]])]), Err(Error::Shape { .. })));
    }

    #[test]
    fn threads_change_no_bit() {
        let row = |seed: f64| -> Gradient {
            let values: Vec<f32> = (0..200_001).map(|i| (f64::from(i) * seed).sin() as f32).collect();
            Tensor::new(values, &Device::Cpu).unwrap().into()
        };
        let rows = [row(0.1), row(0.7), row(1.3)];
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| inner_products(&rows).unwrap())
        };
        assert_eq!(on(1), on(2));
    }
}
