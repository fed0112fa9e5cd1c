//! A layer of 3 × 3 kernels: its convolution and both gradients.

use std::ops::Range;

use rayon::prelude::*;

use super::kernels::{Direction, Kernels, restore};
use super::points::{LANES, POINTS, Points, Square, blank, both_ways};
use super::tiles::Grid;
use crate::gemm::{Matrix, Onto, multiply};
use crate::ops::host::Real;
use crate::simd::wide;

/// Tiles that are transformed before they are multiplied: their values stay in the second cache.
const TILES: usize = 64;

/// Output channels that are multiplied before they are transformed back.
const OUTPUTS: usize = 64;

/// Groups of images that a batch is split into at least, where it has as many.
const GROUPS: usize = 8;

/// Values that the weight gradient keeps in transformed form: they stay in the third cache.
const KEPT: usize = 3 << 20;

/// One convolution with 3 × 3 kernels at stride 1, undilated and ungrouped.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Layer {
    /// Channels in and out.
    pub(in crate::ops) channels: [usize; 2],
    /// Height and width of an input plane.
    pub(in crate::ops) inputs: [usize; 2],
    /// Height and width of an output plane.
    pub(in crate::ops) outputs: [usize; 2],
    /// Zeros around the input.
    pub(in crate::ops) padding: usize,
}

impl Layer {
    /// The outputs for images `x` and a weight `[out, in, 3, 3]`.
    pub(in crate::ops) fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let path = Path {
            channels: self.channels,
            from: Grid::new(self.inputs, self.outputs, self.padding as isize),
            to: Grid::new(self.outputs, self.outputs, 0),
        };
        path.run(x, &Kernels::new(weight, path.channels, Direction::Forward), bias)
    }

    /// The gradient of the images from that of the outputs.
    pub(in crate::ops) fn input_gradient<T: Real>(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let [inputs, outputs] = self.channels;
        let path = Path {
            channels: [outputs, inputs],
            from: Grid::new(self.outputs, self.inputs, 2 - self.padding as isize),
            to: Grid::new(self.inputs, self.inputs, 0),
        };
        let bias = vec![T::zero(); inputs];
        path.run(dy, &Kernels::new(weight, path.channels, Direction::Backward), &bias)
    }

    /// The gradient of the weight. All threads work on the same tiles, first by channel and then by point, so
    /// that there is one sum, in the order of the tiles.
    pub(in crate::ops) fn weight_gradient<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let [inputs, outputs] = self.channels;
        let from = Grid::new(self.inputs, self.outputs, self.padding as isize);
        let to = Grid::new(self.outputs, self.outputs, 0);
        let points = Points::new();
        let [input_len, output_len] = [inputs * from.plane_len(), outputs * to.plane_len()];
        let mut known = vec![T::zero(); POINTS * outputs * inputs];
        let (mut of_x, mut of_dy) = (Vec::new(), Vec::new());
        let tiles = KEPT / POINTS / (inputs + outputs);
        let images = (tiles / to.room(1, to.tiles[0])).max(1);
        for (x, dy) in x.chunks(images * input_len).zip(dy.chunks(images * output_len)) {
            for rows in bands(&to, tiles) {
                let tiles = to.room(x.len() / input_len, rows.len());
                spread(&mut of_x, tiles, inputs, |channel, lines, values| {
                    let planes = planes(x, channel, inputs, from.plane_len());
                    from.read(planes, &rows, lines, |group, tile: &Square<T, 6>| {
                        store(values, group, tile, |d| points.inputs(d));
                    });
                });
                spread(&mut of_dy, tiles, outputs, |channel, lines, values| {
                    let planes = planes(dy, channel, outputs, to.plane_len());
                    to.read(planes, &rows, lines, |group, tile: &Square<T, 4>| {
                        store(values, group, tile, |d| points.gradient(d));
                    });
                });
                known.par_chunks_mut(outputs * inputs).enumerate().for_each(|(point, known)| {
                    let x = at(&of_x, point, tiles, inputs);
                    let dy = at(&of_dy, point, tiles, outputs);
                    multiply(Onto::Sum, known, dy, x.transposed());
                });
            }
        }
        restore(&known, self.channels)
    }
}

/// A convolution in either direction.
struct Path {
    /// Channels from and to.
    channels: [usize; 2],
    from: Grid,
    to: Grid,
}

impl Path {
    fn run<T: Real>(&self, x: &[T], kernels: &Kernels<T>, bias: &[T]) -> Vec<T> {
        let [from, to] = self.channels;
        let [input_len, output_len] = [from * self.from.plane_len(), to * self.to.plane_len()];
        let batch = x.len() / input_len;
        let images = (TILES / self.to.room(1, 1).max(self.to.tiles[0] * self.to.tiles[1]))
            .min(batch.div_ceil(GROUPS))
            .max(1);
        let mut y = vec![T::zero(); batch * output_len];
        let groups = y.par_chunks_mut(images * output_len).zip(x.par_chunks(images * input_len));
        groups.for_each_init(Scratch::new, |scratch, (y, x)| {
            for rows in bands(&self.to, TILES) {
                self.band(&Band { x, rows, kernels, bias }, y, scratch);
            }
        });
        y
    }

    /// The outputs in some rows of tiles of some images.
    fn band<T: Real>(&self, band: &Band<'_, T>, y: &mut [T], scratch: &mut Scratch<T>) {
        let ([from, to], points) = (self.channels, Points::new());
        let images = band.x.len() / (from * self.from.plane_len());
        let tiles = self.to.room(images, band.rows.len());
        scratch.known.resize(from * POINTS * tiles, T::zero());
        wide(|| {
            for (channel, values) in scratch.known.chunks_mut(POINTS * tiles).enumerate() {
                let planes = planes(band.x, channel, from, self.from.plane_len());
                self.from.read(planes, &band.rows, &mut scratch.lines, |group, tile: &Square<T, 6>| {
                    store(values, group, tile, |d| points.inputs(d));
                });
            }
        });
        for first in (0..to).step_by(OUTPUTS) {
            let outputs = OUTPUTS.min(to - first);
            scratch.products.resize(POINTS * outputs * tiles, T::zero());
            for (point, product) in scratch.products.chunks_mut(outputs * tiles).enumerate() {
                let known = at(&scratch.known, point, tiles, from);
                multiply(Onto::Nothing, product, band.kernels.at(point, first, outputs), known);
            }
            wide(|| {
                for channel in 0..outputs {
                    let products = &scratch.products[channel * tiles..];
                    let bias = band.bias[first + channel];
                    let planes = planes_mut(y, first + channel, to, self.to.plane_len());
                    self.to.write(planes, &band.rows, |group, tile| {
                        load(products, [group, outputs * tiles], tile, |m| points.outputs(m));
                        tile.iter_mut().flatten().flatten().for_each(|v| *v += bias);
                    });
                }
            });
        }
    }
}

/// What a thread needs to know to compute some rows of tiles.
struct Band<'a, T> {
    x: &'a [T],
    rows: Range<usize>,
    kernels: &'a Kernels<T>,
    bias: &'a [T],
}

/// Padded lines, transformed tiles and their products.
struct Scratch<T> {
    lines: Vec<T>,
    known: Vec<T>,
    products: Vec<T>,
}

impl<T> Scratch<T> {
    fn new() -> Self {
        Self { lines: Vec::new(), known: Vec::new(), products: Vec::new() }
    }
}

/// The rows of tiles of an image in pieces of about as many tiles.
fn bands(grid: &Grid, tiles: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let [rows, columns] = grid.tiles;
    let step = (tiles / columns).max(1);
    (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
}

fn planes<T>(x: &[T], channel: usize, channels: usize, len: usize) -> impl Iterator<Item = &[T]> {
    x.chunks(channels * len).map(move |image| &image[channel * len..][..len])
}

fn planes_mut<T>(x: &mut [T], channel: usize, channels: usize, len: usize) -> impl Iterator<Item = &mut [T]> {
    x.chunks_mut(channels * len).map(move |image| &mut image[channel * len..][..len])
}

/// Fills `[channels, points, tiles]` in parallel over the channels.
fn spread<T: Real>(
    known: &mut Vec<T>,
    tiles: usize,
    channels: usize,
    fill: impl Fn(usize, &mut Vec<T>, &mut [T]) + Sync,
) {
    known.resize(channels * POINTS * tiles, T::zero());
    known.par_chunks_mut(POINTS * tiles).enumerate().for_each_init(Vec::new, |lines, (channel, values)| {
        wide(|| fill(channel, lines, values));
    });
}

/// The matrix `[channels, tiles]` at a point.
fn at<T>(known: &[T], point: usize, tiles: usize, channels: usize) -> Matrix<'_, T> {
    Matrix::spaced(&known[point * tiles..], [channels, tiles], POINTS * tiles)
}

/// Transforms a group of tiles into its place in `[points, tiles]`.
#[inline(always)]
fn store<T: Real, const N: usize>(
    values: &mut [T],
    group: usize,
    tile: &Square<T, N>,
    map: impl Fn([T; N]) -> [T; 6],
) {
    let mut known = blank::<T, 6>();
    both_ways(tile, &mut known, map);
    let tiles = values.len() / POINTS;
    for (values, from) in values.chunks_mut(tiles).zip(known.iter().flatten()) {
        values[group * LANES..][..LANES].copy_from_slice(from);
    }
}

/// Transforms a group of products back, whose values at one point begin `pitch` after those at the one before.
#[inline(always)]
fn load<T: Real>(
    products: &[T],
    [group, pitch]: [usize; 2],
    tile: &mut Square<T, 4>,
    map: impl Fn([T; 6]) -> [T; 4],
) {
    let mut known = blank::<T, 6>();
    for (to, from) in known.iter_mut().flatten().zip(products[group * LANES..].chunks(pitch)) {
        to.copy_from_slice(&from[..LANES]);
    }
    both_ways(&known, tile, map);
}
