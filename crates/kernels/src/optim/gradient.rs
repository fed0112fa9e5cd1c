//! What optimizers take for a gradient, and its numbers in memory.

use std::ops::Range;

use candle_core::{Result as CandleResult, Tensor};

use crate::Result;
use crate::autograd::Gradient;
use crate::ops::host::Real;

/// What the optimizer and the bounds take for a gradient: a tensor, or a [`Gradient`].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::autograd::{Gradient, RowGradient};
/// use taskweave_kernels::optim::IntoGradient;
/// let rows = RowGradient::new(vec![2], Tensor::new(&[[5f32, 6.0]], &Device::Cpu)?, 3)?;
/// let doubled = Gradient::Rows(rows).map_values(|values| values * 2.0)?;
/// assert_eq!(doubled.values().to_vec2::<f32>()?, [[10.0, 12.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait IntoGradient: Clone + Into<Gradient> {
    /// The same gradient with other numbers in the place of those that are kept; the others stay zero.
    ///
    /// # Errors
    /// Those of `f`, and [`Error::Shape`](crate::Error::Shape) where it changes the shape.
    fn map_values(&self, f: impl FnOnce(&Tensor) -> CandleResult<Tensor>) -> Result<Self>;
}

impl IntoGradient for Tensor {
    fn map_values(&self, f: impl FnOnce(&Tensor) -> CandleResult<Tensor>) -> Result<Self> {
        Ok(f(self)?)
    }
}

impl IntoGradient for Gradient {
    fn map_values(&self, f: impl FnOnce(&Tensor) -> CandleResult<Tensor>) -> Result<Self> {
        self.with_values(f(self.values())?)
    }
}

/// The numbers of a gradient in memory.
#[derive(Clone, Copy)]
pub(super) enum Numbers<'a, T> {
    /// All of them.
    All(&'a [T]),
    /// Rows of `width` numbers, ascending; zero between them.
    Rows { rows: &'a [u32], values: &'a [T], width: usize },
}

impl<'a, T: Real> Numbers<'a, T> {
    /// A view of `gradient`, whose contiguous numbers are `values`.
    pub(super) fn new(gradient: &'a Gradient, values: &'a [T]) -> Self {
        match gradient {
            Gradient::Dense(_) => Self::All(values),
            Gradient::Rows(of) => {
                let rows = of.rows();
                Self::Rows { rows, values, width: values.len() / rows.len().max(1) }
            }
        }
    }

    /// Calls `f` with the pieces that are kept of a range of all numbers, and their places in the range.
    #[inline(always)]
    pub(super) fn each_within(&self, range: Range<usize>, mut f: impl FnMut(usize, &'a [T])) {
        let (rows, values, width) = match *self {
            Self::All(numbers) => return f(0, &numbers[range]),
            Self::Rows { rows, values, width } => (rows, values, width),
        };
        let first = rows.partition_point(|&row| (row as usize + 1) * width <= range.start);
        for (i, &row) in rows.iter().enumerate().skip(first) {
            let start = row as usize * width;
            if start >= range.end {
                break;
            }
            let (skipped, end) = (range.start.saturating_sub(start), width.min(range.end - start));
            f(start + skipped - range.start, &values[i * width..][skipped..end]);
        }
    }

    /// All numbers of a range, in `memory` of its length unless they lie side by side already.
    #[inline(always)]
    pub(super) fn dense<'m>(&self, range: Range<usize>, memory: &'m mut [T]) -> &'m [T]
    where
        'a: 'm,
    {
        if let Self::All(numbers) = *self {
            return &numbers[range];
        }
        memory.fill(T::zero());
        self.each_within(range, |place, piece| memory[place..][..piece.len()].copy_from_slice(piece));
        memory
    }
}
