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

    /// `columns` values of every row, from `first` on, of rows that are `step` apart.
    ///
    /// # Panics
    /// Where the columns go beyond the row, or the last row is cut short.
    pub(crate) fn columns(values: &'a [T], step: usize, first: usize, columns: usize) -> Self {
        let rows = values.len().checked_div(step).unwrap_or(0);
        assert!(first + columns <= step && rows * step == values.len(), "columns of a matrix");
        Self { values: values.get(first..).unwrap_or_default(), size: [rows, columns], step: [step, 1] }
    }

    /// Whether the last element, and with it every other one, lies in the memory.
    fn fits(&self) -> bool {
        let [rows, columns] = self.size;
        let last = rows.saturating_sub(1) * self.step[0] + columns.saturating_sub(1) * self.step[1];
        rows * columns == 0 || last < self.values.len()
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [row, column]) = (self.size, self.step);
        Self { size: [columns, rows], step: [column, row], ..self }
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

/// The same on the calling thread, `out` being some columns of rows that are `step` apart, the first of them first.
///
/// # Panics
/// As [`multiply`].
pub(crate) fn multiply_columns<T: Real>(
    onto: Onto,
    (out, step): (&mut [T], usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    strided(onto, (out, step), [a, b], gemm::Parallelism::None);
}

fn product<T: Real>(onto: Onto, out: &mut [T], [a, b]: [Matrix<'_, T>; 2], threads: gemm::Parallelism) {
    let (m, n) = (a.size[0], b.size[1]);
    assert!(out.len() == m * n, "matrix sizes: {:?} · {:?} into {}", a.size, b.size, out.len());
    strided(onto, (out, n), [a, b], threads);
}

fn strided<T: Real>(
    onto: Onto,
    (out, step): (&mut [T], usize),
    [a, b]: [Matrix<'_, T>; 2],
    threads: gemm::Parallelism,
) {
    let ([m, k], [depth, n]) = (a.size, b.size);
    let out_matrix = Matrix { values: &*out, size: [m, n], step: [step, 1] };
    assert!(k == depth && n <= step, "matrix sizes: {:?} · {:?} into rows of {step}", a.size, b.size);
    assert!(a.fits() && b.fits() && out_matrix.fits(), "matrix sizes and their memory");
    // SAFETY: `out`, `a` and `b` are live slices, and `out` is borrowed exclusively. The assertions above show
    // that every index i·row_step + j·column_step within the sizes lies inside its slice, and that no two
    // places of `out` are one, because its rows are not longer than they are apart. T is f32 or f64, which
    // `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            step as isize,
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
}
