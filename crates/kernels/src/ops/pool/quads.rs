//! The largest of each 2 × 2 block of an image: the one pooling that nearly every network has, in vectors.

use super::super::fresh::{fresh, fresh_beside};
use super::super::host::Real;
use crate::simd::wide;

/// Blocks that one task of the pool works on, about.
const TASK: usize = 1 << 13;

/// Images whose sides may be odd: what does not fill a block takes no part.
#[derive(Clone, Copy)]
pub(super) struct Quads {
    pub(super) image: [usize; 2],
}

impl Quads {
    fn blocks(self) -> usize {
        (self.image[0] / 2) * (self.image[1] / 2)
    }

    fn plane(self) -> usize {
        self.image[0] * self.image[1]
    }

    fn planes_per_task(self) -> usize {
        (TASK / self.blocks().max(1)).max(1)
    }

    /// The largest values, and where in its block each was found, plane by plane. NaN counts as the largest.
    pub(super) fn forward<T: Real>(self, x: &[T]) -> (Vec<T>, Vec<Vec<u8>>) {
        let planes = x.len() / self.plane().max(1);
        fresh_beside(planes * self.blocks(), self.planes_per_task() * self.blocks(), |start, y| {
            let mut winners = vec![0; y.len()];
            let x = &x[start / self.blocks() * self.plane()..];
            wide(
                #[inline(always)]
                || {
                    let outputs = y.chunks_mut(self.blocks()).zip(winners.chunks_mut(self.blocks()));
                    for ((y, winners), x) in outputs.zip(x.chunks(self.plane())) {
                        self.forward_plane((y, winners), x);
                    }
                },
            );
            winners
        })
    }

    #[inline(always)]
    fn forward_plane<T: Real>(self, (y, winners): (&mut [T], &mut [u8]), x: &[T]) {
        let width = self.image[1];
        let outputs = y.chunks_mut(width / 2).zip(winners.chunks_mut(width / 2));
        for ((y, winners), rows) in outputs.zip(x.chunks(2 * width)) {
            let (above, below) = rows.split_at(width);
            let pairs = above.chunks_exact(2).zip(below.chunks_exact(2));
            for ((y, winner), (a, b)) in y.iter_mut().zip(winners).zip(pairs) {
                let (left, first) = larger((a[0], 0), (a[1], 1));
                let (right, second) = larger((b[0], 2), (b[1], 3));
                (*y, *winner) = larger((left, first), (right, second));
            }
        }
    }

    pub(super) fn backward<T: Real>(self, dy: &[T], winners: &[Vec<u8>]) -> Vec<T> {
        let planes = dy.len() / self.blocks();
        let per_task = self.planes_per_task();
        fresh(planes * self.plane(), per_task * self.plane(), |start, dx| {
            let plane = start / self.plane();
            let dy = dy[plane * self.blocks()..].chunks(self.blocks());
            let winners = winners[plane / per_task].chunks(self.blocks());
            wide(
                #[inline(always)]
                || {
                    for (dx, inputs) in dx.chunks_mut(self.plane()).zip(dy.zip(winners)) {
                        self.backward_plane(dx, inputs);
                    }
                },
            );
        })
    }

    #[inline(always)]
    fn backward_plane<T: Real>(self, dx: &mut [T], (dy, winners): (&[T], &[u8])) {
        let width = self.image[1];
        let inputs = dy.chunks(width / 2).zip(winners.chunks(width / 2));
        for (rows, (dy, winners)) in dx.chunks_mut(2 * width).zip(inputs) {
            let (above, below) = rows.split_at_mut(width);
            spread(above, dy, winners, 0);
            spread(below, dy, winners, 2);
        }
    }
}

/// Fills one line of blocks, whose places are `first` and the next: each value where it was found. A function of
/// its own with a parameter for each slice, so that the compiler knows them apart.
#[inline(always)]
fn spread<T: Real>(line: &mut [T], dy: &[T], winners: &[u8], first: u8) {
    let (pairs, _) = line.as_chunks_mut::<2>();
    for (pair, (&dy, &winner)) in pairs.iter_mut().zip(dy.iter().zip(winners)) {
        let at = |place: u8| if winner == place { dy } else { T::zero() };
        *pair = [at(first), at(first + 1)];
    }
}

/// The larger of two values and its place; the first where they are equal.
#[inline(always)]
fn larger<T: Real>((a, first): (T, u8), (b, second): (T, u8)) -> (T, u8) {
    let a_wins = a >= b || a.is_nan();
    (if a_wins { a } else { b }, if a_wins { first } else { second })
}
