//! Matrices in memory that products read and write.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix in memory, its element (i, j) at `i · row_step + j · column_step`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(super) values: &'a [T],
    pub(super) size: [usize; 2],
    pub(super) step: [usize; 2],
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

    /// `columns` values of every row, from `first` on, of rows that are `step` apart.
    ///
    /// # Panics
    /// Where the columns go beyond the row, or the last row is cut short.
    pub(crate) fn columns(values: &'a [T], step: usize, first: usize, columns: usize) -> Self {
        let rows = values.len().checked_div(step).unwrap_or(0);
        assert!(first + columns <= step && rows * step == values.len(), "columns of a matrix");
        Self::block(values.get(first..).unwrap_or_default(), [rows, columns], step)
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [row, column]) = (self.size, self.step);
        Self { size: [columns, rows], step: [column, row], ..self }
    }
}

impl<T> Matrix<'_, T> {
    /// Whether every element lies in the memory.
    pub(super) fn fits(&self) -> bool {
        let ([rows, columns], [row, column]) = (self.size, self.step);
        let last = |count: usize, step: usize| count.checked_sub(1).map(|last| last.checked_mul(step));
        match (last(rows, row), last(columns, column)) {
            (None, _) | (_, None) => true,
            (Some(Some(i)), Some(Some(j))) => i.checked_add(j).is_some_and(|last| last < self.values.len()),
            _ => false,
        }
    }
}

/// A block of a matrix in rows that products are written to; blocks side by side may be written to at once.
pub(crate) struct MatrixMut<'a, T> {
    /// The first element; row i begins `i · step` behind it.
    pub(super) start: *mut T,
    pub(super) size: [usize; 2],
    pub(super) step: usize,
    pub(super) values: PhantomData<&'a mut [T]>,
}

// SAFETY: it is the only access to its elements, as `&mut [T]` is to its own.
unsafe impl<T: Send> Send for MatrixMut<'_, T> {}

impl<'a, T> MatrixMut<'a, T> {
    /// Rows of `columns` values, one after the other.
    pub(crate) fn rows(values: &'a mut [T], columns: usize) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        Self { start: values.as_mut_ptr(), size: [rows, columns], step: columns, values: PhantomData }
    }

    /// A block of a larger matrix in rows: rows of `columns` values that begin `step` apart in `values`.
    ///
    /// # Panics
    /// Where rows overlap or the last one is cut short, which is an error of this crate.
    pub(crate) fn block(values: &'a mut [T], size: [usize; 2], step: usize) -> Self {
        let inside = Matrix { values: &*values, size, step: [step, 1] }.fits();
        assert!(inside && size[1] <= step, "block of a matrix");
        Self { start: values.as_mut_ptr(), size, step, values: PhantomData }
    }

    /// Blocks of `columns` columns, side by side; what is left on the right is left out.
    pub(crate) fn split_columns(self, columns: usize) -> impl Iterator<Item = Self> {
        let [rows, width] = self.size;
        (0..width.checked_div(columns).unwrap_or(0)).map(move |i| Self {
            // SAFETY: the columns `i · columns ..` are among those of the first row. No two blocks share an
            // element, and `self` is gone.
            start: if rows == 0 { self.start } else { unsafe { self.start.add(i * columns) } },
            size: [rows, columns],
            ..self
        })
    }

    /// The columns before `column`, and the others.
    ///
    /// # Panics
    /// For a column that is not there, which is an error of this crate.
    pub(super) fn split_at_column(self, column: usize) -> (Self, Self) {
        let [rows, columns] = self.size;
        assert!(column <= columns, "column of a matrix");
        // SAFETY: without rows or columns on the right the pointer stays; otherwise the column is one of the first row.
        // The two share no element, and `self` is gone.
        let start =
            if rows == 0 || column == columns { self.start } else { unsafe { self.start.add(column) } };
        (Self { size: [rows, column], ..self }, Self { start, size: [rows, columns - column], ..self })
    }

    /// Where some columns of a row begin; that many numbers behind it are this matrix's.
    ///
    /// # Panics
    /// For a place that is not there, which is an error of this crate.
    pub(super) fn place(&mut self, row: usize, columns: &Range<usize>) -> *mut T {
        let inside = columns.start < columns.end && columns.end <= self.size[1] && row < self.size[0];
        assert!(inside, "place in a matrix");
        // SAFETY: the place was checked to lie within the matrix.
        unsafe { self.start.add(row * self.step + columns.start) }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// For rows that are not there, which is an error of this crate.
    pub(crate) fn some(&mut self, rows: Range<usize>) -> MatrixMut<'_, T> {
        assert!(rows.start <= rows.end && rows.end <= self.size[0], "rows of a matrix");
        let size = [rows.len(), self.size[1]];
        // Without columns there need not be memory to point into.
        if rows.is_empty() || self.size[1] == 0 {
            return MatrixMut { size, ..*self };
        }
        // SAFETY: the row lies within the matrix, which is borrowed for as long as the result lives.
        MatrixMut { start: unsafe { self.start.add(rows.start * self.step) }, size, ..*self }
    }
}
