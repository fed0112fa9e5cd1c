//! The gradient of the weight.
//!
//! All threads work on the same tiles, first by channel and then by point, so that there is one sum for each
//! value, in the order of the tiles, whatever the number of threads.

use rayon::prelude::*;

use super::kernels::restore;
use super::points::POINTS;
use super::tiles::{Grid, planes};
use super::transform::{Transform, at};
use crate::gemm::{Onto, multiply};
use crate::ops::host::Real;

/// Values that are kept in transformed form: they stay in the third cache.
const KEPT: usize = 3 << 20;

/// The gradient `[out, in, 3, 3]` from images and the gradients of outputs, each cut into a grid of its own.
pub(super) fn of_weight<T: Real>([from, to]: &[Grid; 2], channels: [usize; 2], [x, dy]: [&[T]; 2]) -> Vec<T> {
    let [inputs, outputs] = channels;
    let [input_len, output_len] = [inputs * from.plane_len(), outputs * to.plane_len()];
    let mut sum = vec![T::zero(); POINTS * outputs * inputs];
    let (mut of_x, mut of_dy) = (Vec::new(), Vec::new());
    let kept = KEPT / POINTS / (inputs + outputs);
    let images = (kept / to.per_plane()).max(1);
    for (x, dy) in x.chunks(images * input_len).zip(dy.chunks(images * output_len)) {
        for rows in to.bands(kept) {
            let tiles = to.room(x.len() / input_len, rows.len());
            each_channel(&mut of_x, [inputs, tiles], |channel, transform, known| {
                transform.inputs(from, planes(x, [channel, inputs], from), &rows, known);
            });
            each_channel(&mut of_dy, [outputs, tiles], |channel, transform, known| {
                transform.gradients(to, planes(dy, [channel, outputs], to), &rows, known);
            });
            sum.par_chunks_mut(outputs * inputs).enumerate().for_each(|(point, sum)| {
                let x = at(&of_x, point, [inputs, tiles]);
                multiply(Onto::Sum, sum, at(&of_dy, point, [outputs, tiles]), x.transposed());
            });
        }
    }
    restore(&sum, channels)
}

/// Fills `[channels, points, tiles]` in parallel over the channels.
fn each_channel<T: Real>(
    known: &mut Vec<T>,
    [channels, tiles]: [usize; 2],
    fill: impl Fn(usize, &mut Transform<T>, &mut [T]) + Sync,
) {
    known.resize(channels * POINTS * tiles, T::zero());
    known
        .par_chunks_mut(POINTS * tiles)
        .enumerate()
        .for_each_init(Transform::new, |transform, (channel, known)| fill(channel, transform, known));
}
