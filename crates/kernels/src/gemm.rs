//! Matrix products on slices.
#![allow(unsafe_code)]

use crate::ops::host::Real;

/// A matrix in memory, its element (i, j) at `i · row_step + j · column_step`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    size: [usize; 2],
    step: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// Rows of `columns` values, one after the other.
    pub(crate) fn rows(values: &'a [T], columns: usize) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        Self { values, size: [rows, columns], step: [columns, 1] }
    }

    /// A block of a larger matrix in rows: rows of `columns` values that begin `step` apart in `values`.
    pub(crate) fn block(values: &'a [T], [rows, columns]: [usize; 2], step: usize) -> Self {
        Self { values, size: [rows, columns], step: [step, 1] }
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [row, column]) = (self.size, self.step);
        Self { size: [columns, rows], step: [column, row], ..self }
    }
}

impl<T> Matrix<'_, T> {
    /// Whether every element lies in the memory.
    fn fits(&self) -> bool {
        let ([rows, columns], [row, column]) = (self.size, self.step);
        let last = |count: usize, step: usize| count.checked_sub(1).map(|last| last.checked_mul(step));
        match (last(rows, row), last(columns, column)) {
            (None, _) | (_, None) => true,
            (Some(Some(i)), Some(Some(j))) => i.checked_add(j).is_some_and(|last| last < self.values.len()),
            _ => false,
        }
    }
}

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
    product(onto, out, [a, b], gemm::Parallelism::None);
}

/// The same on all threads of rayon's current pool. Threads share the places of `out`, and each of its numbers is
/// summed in one order whatever their number.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn multiply_shared<T: Real>(onto: Onto, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    let large = a.size[0] * a.size[1] * b.size[1] >= SHARED;
    let threads = if large { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    product(onto, out, [a, b], threads);
}

fn product<T: Real>(onto: Onto, out: &mut [T], [a, b]: [Matrix<'_, T>; 2], threads: gemm::Parallelism) {
    let ([m, k], [depth, n]) = (a.size, b.size);
    assert!(k == depth && out.len() == m * n, "matrix sizes: {:?} · {:?} into {}", a.size, b.size, out.len());
    assert!(a.fits() && b.fits(), "matrix sizes and their memory");
    // SAFETY: `out`, `a` and `b` are live slices and `out` is borrowed exclusively. `out` is dense and as large as
    // the product; the last element of `a` and of `b` lies inside its slice, and with it every index
    // i·row_step + j·column_step within the sizes. T is f32 or f64, which `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
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
    fn multiplies_rows_and_transposes() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut out = [1.0; 4];
        multiply(Onto::Sum, &mut out, Matrix::rows(&a, 2), Matrix::rows(&b, 2));
        assert_eq!(out, [20.0, 23.0, 44.0, 51.0]);
        let mut out = [f64::NAN; 4];
        multiply(Onto::Nothing, &mut out, Matrix::rows(&a, 2).transposed(), Matrix::rows(&b, 2));
        assert_eq!(out, [26.0, 30.0, 38.0, 44.0]);
    }
}
