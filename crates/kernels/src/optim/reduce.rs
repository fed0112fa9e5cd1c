//! Sums over gradients: whether all numbers are finite, and the squared norm.

use std::ops::Range;

use candle_core::{DType, Device, WithDType};
use rayon::prelude::*;

use super::gradient::Numbers;
use crate::autograd::Gradient;
use crate::ops::host::{self, Real, for_real};
use crate::simd::wide;
use crate::{Error, Named, Result, ops};

/// Numbers per partial sum. Fixed, so that a sum does not depend on the number of threads.
const CHUNK: usize = 1 << 14;
/// Sums side by side, because one alone waits for every addition.
const LANES: usize = 16;

/// Refuses gradients with a NaN or an infinity, naming the first such parameter.
pub(super) fn require_finite(gradients: &Named<Gradient>) -> Result<()> {
    for (name, gradient) in gradients.iter() {
        if !ops::all_finite(gradient.values())? {
            return Err(Error::non_finite("gradient", name));
        }
    }
    Ok(())
}

/// The sum of the squares, equal to the last bit whether a gradient is dense or by rows.
pub(super) fn squares(gradient: &Gradient) -> Result<f64> {
    if gradient.values().elem_count() == 0 {
        return Ok(0.0);
    }
    let values = gradient.values().contiguous()?;
    if !host::applies(&values) {
        // Metal has no f64.
        let wide = if values.device().is_metal() { DType::F32 } else { DType::F64 };
        let sum = values.to_dtype(wide)?.sqr()?.sum_all()?;
        return Ok(sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?);
    }
    for_real!(values.dtype(), T => {
        let values = host::read::<T>(&values)?;
        Ok(total(Numbers::new(gradient, &values), gradient.shape().elem_count()))
    })
}

fn total<T: Real>(numbers: Numbers<'_, T>, count: usize) -> f64 {
    let chunk = |i: usize| i * CHUNK..count.min((i + 1) * CHUNK);
    match count.div_ceil(CHUNK) {
        1 => partial(numbers, chunk(0)),
        chunks => {
            let partials = (0..chunks).into_par_iter().map(|i| partial(numbers, chunk(i)));
            partials.collect::<Vec<_>>().iter().sum()
        }
    }
}

fn partial<T: Real>(numbers: Numbers<'_, T>, range: Range<usize>) -> f64 {
    let mut lanes = [0.0; LANES];
    wide(
        #[inline(always)]
        || numbers.each_within(range, |place, piece| add_squares(&mut lanes, place, piece)),
    );
    lanes.iter().sum()
}

/// Σ x² of some reals in f64, on the calling thread; to be called in what is [`wide`].
///
/// # Example
/// ```
/// assert_eq!(taskweave_kernels::sum_of_squares(&[3f32, -4.0]), 25.0);
/// ```
#[inline(always)]
pub fn sum_of_squares<T: WithDType>(numbers: &[T]) -> f64 {
    let mut lanes = [0.0; LANES];
    add_squares(&mut lanes, 0, numbers);
    lanes.iter().sum()
}

/// Adds every number to the lane of its place.
#[inline(always)]
fn add_squares<T: WithDType>(lanes: &mut [f64; LANES], place: usize, numbers: &[T]) {
    let square = |x: &T| x.to_f64() * x.to_f64();
    let (head, rest) = numbers.split_at(numbers.len().min(place.wrapping_neg() % LANES));
    for (i, x) in head.iter().enumerate() {
        lanes[(place + i) % LANES] += square(x);
    }
    let (groups, tail) = rest.as_chunks::<LANES>();
    for group in groups {
        lanes.iter_mut().zip(group).for_each(|(lane, x)| *lane += square(x));
    }
    lanes.iter_mut().zip(tail).for_each(|(lane, x)| *lane += square(x));
}
