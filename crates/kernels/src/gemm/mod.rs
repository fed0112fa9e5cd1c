//! Matrix products on slices.
#![allow(unsafe_code)]

mod end;
mod matrix;
#[cfg(target_arch = "x86_64")]
mod turned;

use std::marker::PhantomData;

pub(crate) use end::{End, Floor};
pub(crate) use matrix::{Matrix, MatrixMut};

use crate::math::Exp;
use crate::ops::host::Real;

/// What becomes of the values that a product is written over.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Onto {
    /// They are added to.
    Sum,
    /// They are not read.
    Nothing,
}

/// Multiplications below which a product is not worth sharing among threads.
const SHARED: usize = 1 << 23;

/// `out += a · b` or `out = a · b` on the calling thread, `out` in rows.
///
/// # Panics
/// Where the sizes do not fit together, which is an error of this crate and not of its input.
pub(crate) fn multiply<T: Real>(onto: Onto, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    product(onto, dense(out, a.size[0], b.size[1]), [a, b], gemm::Parallelism::None);
}

/// The same into a block of a matrix.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn multiply_into<T: Real>(onto: Onto, out: MatrixMut<'_, T>, a: Matrix<'_, T>, b: Matrix<'_, T>) {
    product(onto, out, [a, b], gemm::Parallelism::None);
}

/// The same, `out` being some columns of rows that are `step` apart, the first of them first.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn multiply_columns<T: Real>(
    onto: Onto,
    (out, step): (&mut [T], usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    multiply_into(onto, MatrixMut::block(out, [a.size[0], b.size[1]], step), a, b);
}

/// [`multiply`] on all threads of rayon's current pool. Threads share the places of `out`, and each of its numbers is
/// summed in one order whatever their number.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn multiply_shared<T: Real>(onto: Onto, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    product(onto, dense(out, a.size[0], b.size[1]), [a, b], threads(a, b));
}

/// `a · b` as values of their own, on all threads of rayon's current pool.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn product_of<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    if a.size[1] == 0 {
        return vec![T::zero(); a.size[0] * b.size[1]];
    }
    written(a.size[0], b.size[1], |out| product(Onto::Nothing, out, [a, b], threads(a, b)))
}

/// [`product_of`] and its end, in one pass where a kernel does both.
///
/// # Panics
/// As [`multiply`], and for a bias of another length than a row.
pub(crate) fn product_ended<T: Exp>(a: Matrix<'_, T>, b: Matrix<'_, T>, end: End<'_, T>) -> Vec<T> {
    #[cfg(target_arch = "x86_64")]
    if let (Some(a), Some(b)) = (singles(a), singles(b))
        && turned::pays(&a, &b)
    {
        let sums = turned::Sums { onto: Onto::Nothing, end: end.singles() };
        return written(a.size[0], b.size[1], |out: MatrixMut<'_, T>| {
            if let Some(start) = T::singles_mut(out.start) {
                let out = MatrixMut { start, size: out.size, step: out.step, values: PhantomData };
                turned::product(sums, out, [a, b], parts(threads(a, b)));
            }
        });
    }
    let mut values = product_of(a, b);
    end.apply(&mut values);
    values
}

/// The values that `write`, which is given all of them as a matrix in rows, has written.
fn written<T: Real>(rows: usize, columns: usize, write: impl FnOnce(MatrixMut<'_, T>)) -> Vec<T> {
    let count = rows * columns;
    let mut values = Vec::with_capacity(count);
    write(MatrixMut {
        start: values.as_mut_ptr(),
        size: [rows, columns],
        step: columns,
        values: PhantomData,
    });
    // SAFETY: there is room for `count` values, and a product that is not added to anything has written each.
    unsafe { values.set_len(count) };
    values
}

fn threads<T>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> gemm::Parallelism {
    match a.size[0] * a.size[1] * b.size[1] >= SHARED {
        true => gemm::Parallelism::Rayon(0),
        false => gemm::Parallelism::None,
    }
}

#[cfg(target_arch = "x86_64")]
fn parts(threads: gemm::Parallelism) -> usize {
    if let gemm::Parallelism::None = threads { 1 } else { rayon::current_num_threads() }
}

fn dense<T>(out: &mut [T], rows: usize, columns: usize) -> MatrixMut<'_, T> {
    assert!(rows.checked_mul(columns) == Some(out.len()), "{rows} · {columns} values into {}", out.len());
    MatrixMut { size: [rows, columns], ..MatrixMut::rows(out, columns) }
}

fn product<T: Real>(
    onto: Onto,
    out: MatrixMut<'_, T>,
    [a, b]: [Matrix<'_, T>; 2],
    threads: gemm::Parallelism,
) {
    let ([m, k], [depth, n]) = (a.size, b.size);
    assert!(
        k == depth && out.size == [m, n],
        "matrix sizes: {:?} · {:?} into {:?}",
        a.size,
        b.size,
        out.size
    );
    assert!(a.fits() && b.fits(), "matrix sizes and their memory");
    #[cfg(target_arch = "x86_64")]
    if let (Some(a), Some(b), Some(start)) = (singles(a), singles(b), T::singles_mut(out.start))
        && turned::pays(&a, &b)
    {
        let out = MatrixMut { start, size: out.size, step: out.step, values: PhantomData };
        return turned::product(turned::Sums { onto, end: End::default() }, out, [a, b], parts(threads));
    }
    // SAFETY: `out` is the only access to its m · n elements, in rows `out.step` apart, and `a` and `b` are live
    // slices in which the last element of either matrix lies, and with it every index i·row_step + j·column_step
    // within the sizes. T is f32 or f64, which `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.start,
            1,
            out.step as isize,
            onto == Onto::Sum,
            a.values.as_ptr(),
            a.step[1] as isize,
            a.step[0] as isize,
            b.values.as_ptr(),
            b.step[1] as isize,
            b.step[0] as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            threads,
        );
    }
}

/// The same matrix where its numbers are f32.
#[cfg(target_arch = "x86_64")]
fn singles<T: Real>(matrix: Matrix<'_, T>) -> Option<Matrix<'_, f32>> {
    T::singles(matrix.values).map(|values| Matrix { values, size: matrix.size, step: matrix.step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_no_bit() {
        let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
        for [m, n, k] in [[256, 256, 256], [129, 1031, 97], [64, 2048, 130], [2048, 65, 70]] {
            let (a, b) = (numbers(m * k), numbers(k * n));
            let mut out = vec![[vec![0.0; m * n], vec![0.0; m * n]]; 2];
            for (threads, out) in [1, 2].into_iter().zip(&mut out) {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    multiply_shared(Onto::Nothing, &mut out[0], Matrix::rows(&a, k), Matrix::rows(&b, n));
                    let turned = [Matrix::rows(&a, m).transposed(), Matrix::rows(&b, k).transposed()];
                    multiply_shared(Onto::Nothing, &mut out[1], turned[0], turned[1]);
                });
            }
            assert_eq!(out[0], out[1]);
        }
    }

    #[test]
    fn multiplies_columns_of_longer_rows() {
        // The last two columns of two rows of three, into the last two columns of two rows of three.
        let (a, b) = ([9.0, 1.0, 2.0, 9.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut out = [-1.0; 6];
        let a = Matrix::columns(&a, 3, 1, 2);
        multiply_columns(Onto::Nothing, (&mut out[1..], 3), a, Matrix::rows(&b, 2));
        assert_eq!(out, [-1.0, 19.0, 22.0, -1.0, 43.0, 50.0]);
        let mut out = [1.0; 4];
        multiply_columns(Onto::Sum, (&mut out, 2), a.transposed(), Matrix::rows(&b, 2));
        assert_eq!(out, [27.0, 31.0, 39.0, 45.0]);
    }

    #[test]
    fn multiplies_rows_and_transposes() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut out = [1.0; 4];
        multiply(Onto::Sum, &mut out, Matrix::rows(&a, 2), Matrix::rows(&b, 2));
        assert_eq!(out, [20.0, 23.0, 44.0, 51.0]);
        let mut out = [f64::NAN; 4];
        multiply(Onto::Nothing, &mut out, Matrix::rows(&a, 2).transposed(), Matrix::rows(&b, 2));
        assert_eq!(out, [26.0, 30.0, 38.0, 44.0]);
    }

    #[test]
    fn multiplies_blocks_into_blocks() {
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        // The two middle columns of a 3 × 4 matrix, times the last two, turned.
        let (a, b) = (Matrix::block(&values[1..], [3, 2], 4), Matrix::block(&values[2..], [3, 2], 4));
        let mut out = [0.0; 12];
        let block = MatrixMut::rows(&mut out, 4).split_columns(3).next().unwrap();
        multiply_into(Onto::Nothing, block, a, b.transposed());
        assert_eq!(out, [8.0, 20.0, 32.0, 0.0, 28.0, 72.0, 116.0, 0.0, 48.0, 124.0, 200.0, 0.0]);
    }

    #[test]
    fn blocks_beyond_their_memory_are_refused() {
        let (values, dense) = ([0f32; 11], [0f32; 4]);
        for (size, step, fits) in
            [([3, 3], 4, true), ([3, 4], 4, false), ([4, 1], 4, false), ([0, 9], 9, true)]
        {
            assert_eq!(Matrix::block(&values, size, step).fits(), fits, "{size:?}");
        }
        assert!(!Matrix::block(&dense, [3, 1], usize::MAX).fits());
    }

    #[test]
    fn parts_of_a_matrix_are_its_rows_and_columns() {
        let (mut values, one) = ([0.0; 12], [1.0f32; 2]);
        for mut block in MatrixMut::rows(&mut values, 4).split_columns(2).skip(1) {
            let (column, row) = (Matrix::block(&one, [2, 1], 1), Matrix::block(&one, [1, 2], 2));
            multiply_into(Onto::Sum, block.some(1..3), column, row);
            assert_eq!(block.some(3..3).size, [0, 2]);
        }
        assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(MatrixMut::rows(&mut [0; 0], 4).split_columns(2).count(), 2);
    }
}
