//! Gradients of several tasks with respect to one parameter, side by side: their inner products and sums.
//!
//! Both read every row piece by piece, so that a piece of all rows lies in cache. Products are summed in
//! f64, eight numbers at a time side by side, pieces in order: results do not depend on the number of threads.

#[cfg(target_arch = "x86_64")]
mod tiles;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::autograd::Gradient;
use crate::ops::fresh::fresh;
use crate::ops::host::{self, Real, for_real};
use crate::simd::{fetch, wide};
use crate::{Error, Result};

/// Numbers of a row that are multiplied at a time.
const PIECE: usize = 4096;

/// Numbers that are summed at a time.
const STRIP: usize = 256;

/// The most groups of pieces whose products are summed apart.
const GROUPS: usize = 64;

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
        symmetric(squares(&slices), size)
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

/// The products ⟨rᵢ, rⱼ⟩ for i ≤ j.
fn squares<T: Real>(rows: &[&[T]]) -> Vec<f64> {
    #[cfg(target_arch = "x86_64")]
    if let Some(rows) = tiles::singles(rows) {
        return summed(&rows, |piece, sums| tiles::add_products(&rows, piece, sums));
    }
    upper_products(rows, rows)
}

/// The products ⟨aᵢ, bⱼ⟩ for i ≤ j.
fn upper_products<T: Real>(rows: &[&[T]], others: &[&[T]]) -> Vec<f64> {
    summed(rows, |piece, sums| {
        wide(
            #[inline(always)]
            || add_products([rows, others], piece.clone(), sums),
        );
    })
}

/// What `add` adds for every piece of some rows to their upper triangle, in parallel and in one order.
fn summed<T: Real>(rows: &[&[T]], add: impl Fn(&Range<usize>, &mut [f64]) + Sync) -> Vec<f64> {
    let length = rows.first().map_or(0, |row| row.len());
    let few = (64 / rows.len().max(1)).clamp(1, 16);
    // The products of a group take no more memory than its numbers, or a few pieces do.
    let many = (rows.len() * rows.len()).div_ceil(PIECE);
    let group = PIECE * length.div_ceil(PIECE * GROUPS).max(few).max(many);
    let of_group = |start: usize| {
        let mut sums = vec![0.0; rows.len() * rows.len()];
        let end = length.min(start + group);
        (start..end).step_by(PIECE).for_each(|from| add(&(from..end.min(from + PIECE)), &mut sums));
        sums
    };
    let starts = (0..length.div_ceil(group)).into_par_iter().map(|i| i * group);
    let parts: Vec<Vec<f64>> = starts.map(of_group).collect();
    let mut total = vec![0.0; rows.len() * rows.len()];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, p)| *sum += p);
    }
    total
}

/// Adds the products of one piece to the upper triangle: of two rows with four at a time, so that each number that is
/// read is multiplied more than once.
#[inline(always)]
fn add_products<T: Real>([rows, others]: [&[&[T]]; 2], piece: Range<usize>, sums: &mut [f64]) {
    let size = rows.len();
    for (i, pair) in rows.chunks(2).enumerate() {
        match pair {
            [a, b] => add_pair([a, b].map(|row| &row[piece.clone()]), others, (2 * i, &piece), sums),
            // Of an odd last row nothing is left but the product with its like.
            _ => {
                let [[product]] = dots([&rows[size - 1][piece.clone()]], [&others[size - 1][piece.clone()]]);
                sums[size * size - 1] += product;
            }
        }
    }
}

/// Adds the products of pieces of the rows `i` and `i + 1` with those from `i` on.
#[inline(always)]
fn add_pair<T: Real>(a: [&[T]; 2], others: &[&[T]], (i, piece): (usize, &Range<usize>), sums: &mut [f64]) {
    let size = others.len();
    let fours = i + (size - i) / 4 * 4;
    let mut add = |j: usize, products: &[[f64; 2]]| {
        for (j, products) in (j..).zip(products) {
            products.iter().enumerate().for_each(|(k, product)| sums[(i + k) * size + j] += product);
        }
    };
    for j in (i..fours).step_by(4) {
        add(j, &dots::<T, 2, 4>(a, std::array::from_fn(|k| &others[j + k][piece.clone()])));
    }
    for (j, row) in others.iter().enumerate().skip(fours) {
        add(j, &dots::<T, 2, 1>(a, [&row[piece.clone()]]));
    }
}

/// The products of some pieces with others of the same length.
#[inline(always)]
fn dots<T: Real, const A: usize, const B: usize>(a: [&[T]; A], b: [&[T]; B]) -> [[f64; A]; B] {
    let mut lanes = [[[0.0; 8]; A]; B];
    let (a, b) = (a.map(|a| a.as_chunks::<8>()), b.map(|b| b.as_chunks::<8>()));
    let chunks = a[0].0.len();
    let (whole_a, whole_b) = (a.map(|a| &a.0[..chunks]), b.map(|b| &b.0[..chunks]));
    for c in 0..chunks {
        let x = whole_a.map(|a| a[c].map(T::to_f64));
        for j in 0..B {
            let y = whole_b[j][c].map(T::to_f64);
            for i in 0..A {
                for k in 0..8 {
                    lanes[j][i][k] += x[i][k] * y[k];
                }
            }
        }
    }
    std::array::from_fn(|j| {
        std::array::from_fn(|i| {
            let rest: f64 = a[i].1.iter().zip(b[j].1).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
            rest + lanes[j][i].iter().sum::<f64>()
        })
    })
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
        // Two rows with four, what is left of four, and an odd last row.
        let rows = [0.1, 0.7, 1.3, 0.2, 0.9, 1.1, 0.4].map(row);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum = || weighted_sum(&rows[..5], &[0.3, -1.0, 2.0, 0.7, 0.1])?.into_dense();
            pool.install(|| (inner_products(&rows).unwrap(), sum().unwrap().to_vec1::<f32>().unwrap()))
        };
        let (products, sum) = on(1);
        assert_eq!((products.clone(), sum), on(2));
        let values = rows.map(|row| row.into_dense().unwrap().to_vec1::<f32>().unwrap());
        for (at, product) in products.iter().enumerate() {
            let pairs = values[at / 7].iter().zip(&values[at % 7]);
            let exact: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((product - exact).abs() < 1e-6, "{at}: {product} instead of {exact}");
        }
    }

    #[test]
    fn tiles_in_registers_change_no_bit() {
        for (count, length) in
            [(1, 5), (2, 4096), (3, 9001), (4, 8), (5, 12_300), (7, 4095), (8, 100), (13, 4103)]
        {
            let row = |i: usize| (0..length).map(|k| ((k * k + 31 * i) as f32 * 0.37).sin()).collect();
            let rows: Vec<Vec<f32>> = (0..count).map(row).collect();
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let found = [squares(&rows), upper_products(&rows, &rows)].map(|found| symmetric(found, count));
            assert_eq!(found[0], found[1], "{count} rows of {length}");
        }
    }
}
