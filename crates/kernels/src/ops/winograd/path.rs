//! The convolution itself, in either direction.

use std::ops::Range;

use rayon::prelude::*;

use super::kernels::Kernels;
use super::points::POINTS;
use super::tiles::{Grid, planes, planes_mut};
use super::transform::{Products, Transform, at};
use crate::gemm::{Onto, multiply};
use crate::ops::host::Real;

/// Tiles that are transformed before they are multiplied: their values stay in the second cache.
const TILES: usize = 64;

/// Output channels that are multiplied before they are transformed back.
const OUTPUTS: usize = 64;

/// Groups of images that a batch is split into at least, where it has as many.
const GROUPS: usize = 8;

/// A convolution in either direction.
pub(super) struct Path {
    /// Channels from and to.
    pub(super) channels: [usize; 2],
    pub(super) from: Grid,
    pub(super) to: Grid,
}

/// What is computed at a time: some rows of tiles of some images.
struct Band<'a, T> {
    x: &'a [T],
    rows: Range<usize>,
    kernels: &'a Kernels<T>,
    bias: &'a [T],
}

/// Room for transformed tiles and their products.
struct Scratch<T> {
    transform: Transform<T>,
    known: Vec<T>,
    products: Vec<T>,
}

impl Path {
    /// The outputs of all images, in parallel over groups of them.
    pub(super) fn run<T: Real>(&self, x: &[T], kernels: &Kernels<T>, bias: &[T]) -> Vec<T> {
        let [from, to] = self.channels;
        let [input_len, output_len] = [from * self.from.plane_len(), to * self.to.plane_len()];
        let batch = x.len() / input_len;
        let images = (TILES / self.to.per_plane()).min(batch.div_ceil(GROUPS)).max(1);
        let mut y = vec![T::zero(); batch * output_len];
        let groups = y.par_chunks_mut(images * output_len).zip(x.par_chunks(images * input_len));
        let scratch = || Scratch { transform: Transform::new(), known: Vec::new(), products: Vec::new() };
        groups.for_each_init(scratch, |scratch, (y, x)| {
            for rows in self.to.bands(TILES) {
                self.band(&Band { x, rows, kernels, bias }, y, scratch);
            }
        });
        y
    }

    fn band<T: Real>(&self, band: &Band<'_, T>, y: &mut [T], scratch: &mut Scratch<T>) {
        let ([from, to], rows) = (self.channels, &band.rows);
        let Scratch { transform, known, products } = scratch;
        let tiles = self.to.room(band.x.len() / from / self.from.plane_len(), rows.len());
        known.resize(from * POINTS * tiles, T::zero());
        for (channel, known) in known.chunks_mut(POINTS * tiles).enumerate() {
            transform.inputs(&self.from, planes(band.x, [channel, from], &self.from), rows, known);
        }
        for first in (0..to).step_by(OUTPUTS) {
            let outputs = OUTPUTS.min(to - first);
            let pitch = outputs * tiles;
            products.resize(POINTS * pitch, T::zero());
            for (point, product) in products.chunks_mut(pitch).enumerate() {
                let kernels = band.kernels.at(point, first, outputs);
                multiply(Onto::Nothing, product, kernels, at(known, point, [from, tiles]));
            }
            for channel in 0..outputs {
                let bias = band.bias[first + channel];
                let products = Products { values: &products[channel * tiles..], pitch, bias };
                let planes = planes_mut(y, [first + channel, to], &self.to);
                transform.outputs(&self.to, planes, rows, &products);
            }
        }
    }
}
