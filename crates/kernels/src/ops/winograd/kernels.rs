//! Kernels in transformed form, and the gradients of kernels out of it.

use rayon::prelude::*;

use super::points::{LANES, POINTS, Points, blank, both_ways};
use crate::gemm::Matrix;
use crate::ops::host::Real;
use crate::simd::wide;

/// Values of one kernel.
const TAPS: usize = 9;

/// Which way a convolution goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    /// From inputs to outputs.
    Forward,
    /// From the gradient of outputs to that of inputs: kernels turned by 180°, channels exchanged.
    Backward,
}

/// Transformed kernels `[to, points, from]`.
pub(super) struct Kernels<T> {
    values: Vec<T>,
    from: usize,
}

impl<T: Real> Kernels<T> {
    /// Transforms a weight `[out, in, 3, 3]` for a convolution between `[from, to]` channels.
    pub(super) fn new(weight: &[T], [from, to]: [usize; 2], direction: Direction) -> Self {
        let mut values = vec![T::zero(); to * POINTS * from];
        let points = Points::new();
        values.par_chunks_mut(POINTS * from).enumerate().for_each(|(row, values)| {
            wide(
                #[inline(always)]
                || {
                    transform(
                        values,
                        &points,
                        #[inline(always)]
                        |column, tap| match direction {
                            Direction::Forward => weight[(row * from + column) * TAPS + tap],
                            Direction::Backward => weight[(column * to + row) * TAPS + TAPS - 1 - tap],
                        },
                    )
                },
            );
        });
        Self { values, from }
    }

    /// The matrix `[outputs, from]` at a point, for `outputs` channels from `first`.
    pub(super) fn at(&self, point: usize, first: usize, outputs: usize) -> Matrix<'_, T> {
        let pitch = POINTS * self.from;
        Matrix::block(&self.values[first * pitch + point * self.from..], [outputs, self.from], pitch)
    }
}

/// Transforms the kernels of one output, whose values `tap` yields, into `[points, columns]`.
#[inline(always)]
fn transform<T: Real>(values: &mut [T], points: &Points<T>, tap: impl Fn(usize, usize) -> T) {
    let columns = values.len() / POINTS;
    let (mut side, mut half, mut known) = (blank::<T, 3>(), blank(), blank::<T, 6>());
    for first in (0..columns).step_by(LANES) {
        let width = LANES.min(columns - first);
        for (place, to) in side.iter_mut().flatten().enumerate() {
            to[..width].iter_mut().enumerate().for_each(|(lane, to)| *to = tap(first + lane, place));
        }
        both_ways(&side, &mut half, &mut known, |g| points.kernel(g));
        for (values, from) in values.chunks_mut(columns).zip(known.iter().flatten()) {
            values[first..first + width].copy_from_slice(&from[..width]);
        }
    }
}

/// The gradient `[out, in, 3, 3]` from its transformed form `[points, out, in]`.
pub(super) fn restore<T: Real>(known: &[T], [from, to]: [usize; 2]) -> Vec<T> {
    let mut dw = vec![T::zero(); to * from * TAPS];
    let points = Points::new();
    dw.par_chunks_mut(from * TAPS).enumerate().for_each(|(row, dw)| {
        wide(
            #[inline(always)]
            || restore_row(dw, &known[row * from..], to * from, &points),
        );
    });
    dw
}

#[inline(always)]
fn restore_row<T: Real>(dw: &mut [T], known: &[T], pitch: usize, points: &Points<T>) {
    let (mut side, mut half, mut taps) = (blank::<T, 6>(), blank(), blank::<T, 3>());
    for (group, dw) in dw.chunks_mut(LANES * TAPS).enumerate() {
        let width = dw.len() / TAPS;
        for (to, from) in side.iter_mut().flatten().zip(known[group * LANES..].chunks(pitch)) {
            to[..width].copy_from_slice(&from[..width]);
        }
        both_ways(&side, &mut half, &mut taps, |m| points.taps(m));
        for (lane, dw) in dw.chunks_mut(TAPS).enumerate() {
            dw.iter_mut().zip(taps.iter().flatten()).for_each(|(to, from)| *to = from[lane]);
        }
    }
}
