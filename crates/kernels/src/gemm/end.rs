//! What is done to the sums of a product once they are complete.

use rayon::prelude::*;

use crate::math::Exp;
use crate::simd::wide;

/// Rows that one thread ends at a time.
const ROWS: usize = 128;

/// A bias, and what no sum falls below after that.
#[derive(Clone, Copy)]
pub(crate) struct End<'a, T> {
    /// Added to every row.
    pub(crate) bias: Option<&'a [T]>,
    /// Applied after that.
    pub(crate) floor: Floor,
}

/// What no sum falls below.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Floor {
    /// Nothing.
    None,
    /// Zero, as by a rectifier; a NaN stays one.
    Zero,
}

impl<T> Default for End<'_, T> {
    fn default() -> Self {
        Self { bias: None, floor: Floor::None }
    }
}

impl<T: Exp> End<'_, T> {
    /// Ends rows of sums in place.
    pub(crate) fn apply(self, values: &mut [T]) {
        match self.floor {
            Floor::None => self.shifted(values, |v| v),
            Floor::Zero => self.shifted(values, |v| if v < T::zero() { T::zero() } else { v }),
        }
    }

    fn shifted(self, values: &mut [T], f: impl Fn(T) -> T + Sync) {
        let columns = self.bias.map_or(1024, <[T]>::len).max(1);
        values.par_chunks_mut(columns * ROWS).for_each(|rows| {
            wide(
                #[inline(always)]
                || match self.bias {
                    Some(bias) => rows.chunks_mut(columns).for_each(|row| {
                        row.iter_mut().zip(bias).for_each(|(v, &b)| *v = f(*v + b));
                    }),
                    None => rows.iter_mut().for_each(|v| *v = f(*v)),
                },
            );
        });
    }
}

impl<'a, T: Exp> End<'a, T> {
    /// The same where its numbers are f32, else nothing.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn singles(self) -> End<'a, f32> {
        End { bias: self.bias.and_then(T::singles), floor: self.floor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_the_bias_and_then_the_floor() {
        let mut values = [1.0, -3.0, f64::NAN, 2.0];
        End { bias: Some(&[1.0, 2.0]), floor: Floor::Zero }.apply(&mut values);
        assert_eq!((values[0], values[1], values[2].is_nan(), values[3]), (2.0, 0.0, true, 4.0));
        let mut values = [-1.0, 1.0];
        End { bias: None, floor: Floor::Zero }.apply(&mut values);
        End::default().apply(&mut values);
        assert_eq!(values, [0.0, 1.0]);
    }
}
