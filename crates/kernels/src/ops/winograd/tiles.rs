//! Planes cut into tiles, and back.
//!
//! A tile yields 4 × 4 outputs. The tiles of some images lie one after the other: image by image, row by row.
//! Sixteen of them are gathered side by side, so that one instruction works on the same place in all of them.

use std::ops::Range;

use super::points::{LANES, Square, blank};
use crate::ops::host::Real;

/// Outputs of a tile in each direction.
const STEP: usize = 4;

/// Planes and the tiles over them. Tiles of `N × N` begin `padding` before the plane, which may be less than 0.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) plane: [usize; 2],
    pub(super) tiles: [usize; 2],
    pub(super) padding: isize,
}

impl Grid {
    /// Tiles over `outputs`, which are computed from `plane`.
    pub(super) fn new(plane: [usize; 2], outputs: [usize; 2], padding: isize) -> Self {
        Self { plane, tiles: outputs.map(|n| n.div_ceil(STEP)), padding }
    }

    pub(super) fn plane_len(&self) -> usize {
        self.plane[0] * self.plane[1]
    }

    pub(super) fn per_plane(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Room for the tiles of some rows of some images, a multiple of [`LANES`].
    pub(super) fn room(&self, images: usize, rows: usize) -> usize {
        (images * rows * self.tiles[1]).next_multiple_of(LANES)
    }

    /// The rows of tiles of a plane, so many at a time that they hold about `tiles`.
    pub(super) fn bands(&self, tiles: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let [rows, columns] = self.tiles;
        let step = (tiles / columns).max(1);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
    }

    /// Gives the tiles in some rows of the planes to `sink`, in groups side by side; the last group is filled up
    /// with zeros.
    #[inline(always)]
    pub(super) fn read<'a, T: Real, const N: usize>(
        &self,
        planes: impl Iterator<Item = &'a [T]>,
        rows: &Range<usize>,
        lines: &mut Vec<T>,
        mut sink: impl FnMut(usize, &Square<T, N>),
    ) {
        let pitch = self.tiles[1] * STEP + N - STEP;
        lines.resize((rows.len() * STEP + N - STEP) * pitch, T::zero());
        let (mut group, mut lane, mut side) = (0, 0, blank::<T, N>());
        for plane in planes {
            self.pad(plane, rows.start * STEP, lines, pitch);
            for [row, column] in self.corners(0..rows.len()) {
                let corner = row * pitch + column;
                for (i, to) in side.iter_mut().enumerate() {
                    let from = &lines[corner + i * pitch..][..N];
                    to.iter_mut().zip(from).for_each(|(to, &v)| to[lane] = v);
                }
                lane += 1;
                if lane == LANES {
                    sink(group, &side);
                    (group, lane) = (group + 1, 0);
                }
            }
        }
        if lane > 0 {
            side.iter_mut().flatten().for_each(|to| to[lane..].fill(T::zero()));
            sink(group, &side);
        }
    }

    /// Writes the tiles in some rows of the planes, taken from `source` in groups side by side.
    #[inline(always)]
    pub(super) fn write<'a, T: Real>(
        &self,
        planes: impl Iterator<Item = &'a mut [T]>,
        rows: &Range<usize>,
        mut source: impl FnMut(usize, &mut Square<T, STEP>),
    ) {
        let (mut group, mut lane, mut side) = (0, LANES, blank::<T, STEP>());
        for plane in planes {
            for corner in self.corners(rows.clone()) {
                if lane == LANES {
                    source(group, &mut side);
                    (group, lane) = (group + 1, 0);
                }
                self.place(plane, corner, &side, lane);
                lane += 1;
            }
        }
    }

    /// Where the outputs of the tiles in some rows begin.
    #[inline(always)]
    fn corners(&self, rows: Range<usize>) -> impl Iterator<Item = [usize; 2]> + use<> {
        let columns = self.tiles[1];
        rows.flat_map(move |row| (0..columns).map(move |column| [row * STEP, column * STEP]))
    }

    /// Writes one tile of a group, as far as it lies within the plane.
    #[inline(always)]
    fn place<T: Real>(
        &self,
        plane: &mut [T],
        [row, column]: [usize; 2],
        side: &Square<T, STEP>,
        lane: usize,
    ) {
        let [height, width] = self.plane;
        for (i, from) in side.iter().enumerate().take(height - row) {
            let to = &mut plane[(row + i) * width + column..(row + i + 1) * width];
            match to.first_chunk_mut::<STEP>() {
                Some(to) => *to = std::array::from_fn(|j| from[j][lane]),
                None => to.iter_mut().zip(from).for_each(|(to, from)| *to = from[lane]),
            }
        }
    }

    /// Copies the plane from the line that is `first` after the tiles' beginning, with zeros around it.
    #[inline(always)]
    fn pad<T: Real>(&self, plane: &[T], first: usize, lines: &mut [T], pitch: usize) {
        let [height, width] = self.plane;
        let start = self.padding.max(0).unsigned_abs().min(pitch);
        let end = width.saturating_add_signed(self.padding).clamp(start, pitch);
        let skipped = self.padding.min(0).unsigned_abs();
        for (i, to) in lines.chunks_mut(pitch).enumerate() {
            match (first + i).checked_add_signed(-self.padding).filter(|&line| line < height && start < end) {
                Some(line) => {
                    to[..start].fill(T::zero());
                    to[start..end].copy_from_slice(&plane[line * width + skipped..][..end - start]);
                    to[end..].fill(T::zero());
                }
                None => to.fill(T::zero()),
            }
        }
    }
}

/// The planes of one of some channels in all images.
pub(super) fn planes<'a, T>(
    x: &'a [T],
    [channel, channels]: [usize; 2],
    grid: &Grid,
) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
    let len = grid.plane_len();
    x.chunks(channels * len).map(move |image| &image[channel * len..][..len])
}

/// The planes of one of some channels in all images, to be written.
pub(super) fn planes_mut<'a, T>(
    x: &'a mut [T],
    [channel, channels]: [usize; 2],
    grid: &Grid,
) -> impl Iterator<Item = &'a mut [T]> + use<'a, T> {
    let len = grid.plane_len();
    x.chunks_mut(channels * len).map(move |image| &mut image[channel * len..][..len])
}
