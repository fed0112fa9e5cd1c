//! Planes into transformed form and back, a group of tiles at a time.

use std::ops::Range;

use super::points::{LANES, POINTS, Points, Square, blank, both_ways};
use super::tiles::Grid;
use crate::gemm::Matrix;
use crate::ops::host::Real;
use crate::simd::wide;

/// The points, and room for padded lines and for a group of tiles on its way.
pub(super) struct Transform<T> {
    points: Points<T>,
    half: Square<T, 6>,
    known: Square<T, 6>,
    lines: Vec<T>,
}

/// The products `[points, ..]` of one channel, `pitch` apart from point to point, and what is added to outputs.
pub(super) struct Products<'a, T> {
    pub(super) values: &'a [T],
    pub(super) pitch: usize,
    pub(super) bias: T,
}

impl<T: Real> Transform<T> {
    pub(super) fn new() -> Self {
        Self { points: Points::new(), half: blank(), known: blank(), lines: Vec::new() }
    }

    /// Takes the tiles in some rows of one channel's planes into `[points, tiles]`, as inputs.
    pub(super) fn inputs<'a>(
        &mut self,
        grid: &Grid,
        planes: impl Iterator<Item = &'a [T]>,
        rows: &Range<usize>,
        known: &mut [T],
    ) {
        let Self { points, half, known: side, lines } = self;
        wide(
            #[inline(always)]
            || {
                grid.read(
                    planes,
                    rows,
                    lines,
                    #[inline(always)]
                    |group, tile: &Square<T, 6>| {
                        both_ways(tile, half, side, |d| points.inputs(d));
                        store(side, group, known);
                    },
                );
            },
        );
    }

    /// Takes the tiles in some rows of one channel's planes into `[points, tiles]`, as gradients of outputs.
    pub(super) fn gradients<'a>(
        &mut self,
        grid: &Grid,
        planes: impl Iterator<Item = &'a [T]>,
        rows: &Range<usize>,
        known: &mut [T],
    ) {
        let Self { points, half, known: side, lines } = self;
        wide(
            #[inline(always)]
            || {
                grid.read(
                    planes,
                    rows,
                    lines,
                    #[inline(always)]
                    |group, tile: &Square<T, 4>| {
                        both_ways(tile, half, side, |g| points.gradient(g));
                        store(side, group, known);
                    },
                );
            },
        );
    }

    /// Writes the outputs in some rows of tiles of one channel's planes.
    pub(super) fn outputs<'a>(
        &mut self,
        grid: &Grid,
        planes: impl Iterator<Item = &'a mut [T]>,
        rows: &Range<usize>,
        products: &Products<'_, T>,
    ) {
        let Self { points, half, known: side, .. } = self;
        wide(
            #[inline(always)]
            || {
                grid.write(
                    planes,
                    rows,
                    #[inline(always)]
                    |group, tile| {
                        let places = products.values[group * LANES..].chunks(products.pitch);
                        for (to, from) in side.iter_mut().flatten().zip(places) {
                            to.copy_from_slice(&from[..LANES]);
                        }
                        both_ways(side, half, tile, |m| points.outputs(m));
                        tile.iter_mut().flatten().flatten().for_each(|v| *v += products.bias);
                    },
                );
            },
        );
    }
}

/// The matrix `[channels, tiles]` at a point, out of `[channels, points, tiles]`.
pub(super) fn at<T>(known: &[T], point: usize, [channels, tiles]: [usize; 2]) -> Matrix<'_, T> {
    Matrix::block(&known[point * tiles..], [channels, tiles], POINTS * tiles)
}

#[inline(always)]
fn store<T: Real>(side: &Square<T, 6>, group: usize, known: &mut [T]) {
    let tiles = known.len() / POINTS;
    for (known, from) in known.chunks_mut(tiles).zip(side.iter().flatten()) {
        known[group * LANES..][..LANES].copy_from_slice(from);
    }
}
