//! Gradients of several tasks with respect to one parameter, side by side: their inner products and sums.
//!
//! Both read every row piece by piece, so that a piece of all rows lies in cache. Products are summed in
//! f64, eight numbers at a time side by side, pieces in order: results do not depend on the number of threads.
//!
//! | file | what |
//! | --- | --- |
//! | `plain` | products in loops for any processor |
//! | `tiles` | the same of f32 rows, for processors with AVX2 or AVX-512 |
//! | `sum` | weighted sums |

mod plain;
mod sum;
#[cfg(target_arch = "x86_64")]
mod tiles;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::autograd::Gradient;
use crate::ops::host::{self, Real, for_real};
use crate::simd::wide;
use crate::{Error, Result};

pub use sum::weighted_sum;

/// Numbers of a row that are multiplied at a time.
const PIECE: usize = 4096;

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
    Ok(for_real!(dtype, T => {
        let guards = rows.iter().map(host::read::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        symmetric(squares(&guards.iter().map(|row| &**row).collect::<Vec<&[T]>>()), rows.len())
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
        if let Some(tiles) = tiles::Avx512::at_hand() {
            return tiled(tiles, &rows);
        }
        if let Some(tiles) = tiles::Avx2::at_hand() {
            return tiled(tiles, &rows);
        }
    }
    upper_products(rows, rows)
}

/// The same of f32 rows by instructions that the processor has.
#[cfg(target_arch = "x86_64")]
fn tiled(tiles: impl tiles::Tiles, rows: &[&[f32]]) -> Vec<f64> {
    summed(rows, |piece, sums| {
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[piece.clone()]).collect();
        tiles::add_products(tiles, &rows, sums);
    })
}

/// The products ⟨aᵢ, bⱼ⟩ for i ≤ j.
fn upper_products<T: Real>(rows: &[&[T]], others: &[&[T]]) -> Vec<f64> {
    summed(rows, |piece, sums| {
        wide(
            #[inline(always)]
            || plain::add_products([rows, others], piece.clone(), sums),
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

    #[cfg(target_arch = "x86_64")]
    fn waves(count: usize, length: usize) -> Vec<Vec<f32>> {
        let row = |i: usize| (0..length).map(|k| ((k * k + 31 * i) as f32 * 0.37).sin()).collect();
        (0..count).map(row).collect()
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn tiles_in_registers_change_no_bit() {
        let sizes =
            [(1, 5), (2, 4096), (3, 9001), (4, 8), (5, 12_300), (6, 4105), (7, 4095), (8, 100), (13, 4103)];
        for (count, length) in sizes {
            let rows = waves(count, length);
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let plain = upper_products(&rows, &rows);
            let avx2 = tiles::Avx2::at_hand().map(|tiles| tiled(tiles, &rows));
            let avx512 = tiles::Avx512::at_hand().map(|tiles| tiled(tiles, &rows));
            assert_eq!(avx2.is_some(), is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
            assert_eq!(avx512.is_some(), is_x86_feature_detected!("avx512f"));
            for found in avx2.into_iter().chain(avx512).chain([squares(&rows)]) {
                let found = [found, plain.clone()].map(|products| symmetric(products, count));
                assert_eq!(found[0], found[1], "{count} rows of {length}");
            }
        }
    }
}
