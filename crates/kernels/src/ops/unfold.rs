//! The windows of images as the columns of a matrix (im2col), and back.
//!
//! A row of the matrix shows one channel through one point of the kernel. Where outputs are as large as images
//! and windows lie side by side, that row is the channel's plane shifted as a whole, with zeros in the columns
//! that come from beyond its edges.

use std::ops::Range;
use std::slice::{Chunks, ChunksMut};

use crate::ops::host::Real;

/// The geometry of the windows over one image.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) channels: usize,
    pub(super) image: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
}

impl Window {
    /// Every value of `channels` planes seen by itself.
    pub(super) fn pointwise(channels: usize, plane: usize) -> Self {
        let size = [1, plane];
        Self { channels, image: size, kernel: [1, 1], output: size, stride: 1, padding: 0, dilation: 1 }
    }

    pub(super) fn image_len(&self) -> usize {
        self.channels * self.plane_len()
    }

    /// Rows of the matrix: values under one window.
    pub(super) fn depth(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Columns of the matrix for one image: places of the window.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The matrix `[depth, images · positions]` of some images side by side, written into `scratch` where a copy
    /// is needed. Each item of `images` starts with the image's values and may go on.
    pub(super) fn unfold<'a, T: Real>(&self, mut images: Chunks<'a, T>, scratch: &'a mut [T]) -> &'a [T] {
        if self.is_pointwise() && images.len() == 1 {
            return &images.next().unwrap_or_default()[..self.image_len()];
        }
        let pitch = images.len() * self.positions();
        for (image, x) in images.enumerate() {
            for (row, (channel, point)) in self.rows().enumerate() {
                let start = row * pitch + image * self.positions();
                self.read(&mut scratch[start..start + self.positions()], &x[self.plane(channel)], point);
            }
        }
        &scratch[..self.depth() * pitch]
    }

    /// Adds a matrix `[depth, images · positions]` back onto the images that its windows came from, and leaves
    /// zeros in it where windows lie outside.
    pub(super) fn fold<T: Real>(&self, windows: &mut [T], images: ChunksMut<'_, T>) {
        let pitch = images.len() * self.positions();
        for (image, x) in images.enumerate() {
            for (row, (channel, point)) in self.rows().enumerate() {
                let start = row * pitch + image * self.positions();
                self.add(&mut windows[start..start + self.positions()], &mut x[self.plane(channel)], point);
            }
        }
    }

    /// A 1 × 1 kernel sees the image itself, which needs no copy.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == 0
    }

    /// Whether a row of the matrix is a plane shifted as a whole.
    fn keeps_size(&self) -> bool {
        self.stride == 1 && self.output == self.image
    }

    fn plane_len(&self) -> usize {
        self.image[0] * self.image[1]
    }

    fn plane(&self, channel: usize) -> Range<usize> {
        channel * self.plane_len()..(channel + 1) * self.plane_len()
    }

    /// The channel and the point of the kernel that each row of the matrix shows.
    fn rows(&self) -> impl Iterator<Item = (usize, [usize; 2])> {
        let ([kh, kw], dilation) = (self.kernel, self.dilation);
        (0..self.depth()).map(move |row| {
            let point = row % (kh * kw);
            (row / (kh * kw), [point / kw * dilation, point % kw * dilation])
        })
    }

    fn read<T: Real>(&self, windows: &mut [T], plane: &[T], [u, v]: [usize; 2]) {
        if self.keeps_size() {
            let (to, from) = self.overlap([u, v]);
            windows[..to.start].fill(T::zero());
            windows[to.end..].fill(T::zero());
            windows[to].copy_from_slice(&plane[from]);
            self.blank_edges(windows, v);
            return;
        }
        for (i, row) in windows.chunks_mut(self.output[1]).enumerate() {
            match self.line(i, u) {
                Some(line) => self.read_row(row, &plane[line], v),
                None => row.fill(T::zero()),
            }
        }
    }

    fn add<T: Real>(&self, windows: &mut [T], plane: &mut [T], [u, v]: [usize; 2]) {
        if self.keeps_size() {
            self.blank_edges(windows, v);
            let (from, to) = self.overlap([u, v]);
            plane[to].iter_mut().zip(&windows[from]).for_each(|(x, &v)| *x += v);
            return;
        }
        for (i, row) in windows.chunks(self.output[1]).enumerate() {
            if let Some(line) = self.line(i, u) {
                self.add_row(row, &mut plane[line], v);
            }
        }
    }

    fn read_row<T: Real>(&self, row: &mut [T], line: &[T], shift: usize) {
        let (first, last) = self.inside(shift);
        row[..first].fill(T::zero());
        row[last..].fill(T::zero());
        let places = line[self.start(first, shift)..].iter().step_by(self.stride);
        row[first..last].iter_mut().zip(places).for_each(|(to, &from)| *to = from);
    }

    fn add_row<T: Real>(&self, row: &[T], line: &mut [T], shift: usize) {
        let (first, last) = self.inside(shift);
        let places = line[self.start(first, shift)..].iter_mut().step_by(self.stride);
        places.zip(&row[first..last]).for_each(|(x, &v)| *x += v);
    }

    /// Zeros in the output columns that see nothing of the image.
    fn blank_edges<T: Real>(&self, windows: &mut [T], shift: usize) {
        let (first, last) = self.inside(shift);
        for column in (0..first).chain(last..self.output[1]) {
            windows[column..].iter_mut().step_by(self.output[1]).for_each(|v| *v = T::zero());
        }
    }

    /// Where a shifted plane and the plane itself overlap: the places in one and in the other.
    fn overlap(&self, [u, v]: [usize; 2]) -> (Range<usize>, Range<usize>) {
        let (len, width) = (self.plane_len(), self.image[1]);
        let (ahead, back) = (u * width + v, self.padding * width + self.padding);
        let (lost, missing) = (ahead.saturating_sub(back).min(len), back.saturating_sub(ahead).min(len));
        (missing..len - lost, lost..len - missing)
    }

    /// The line of a plane that output row `i` sees at `shift`, if any.
    fn line(&self, i: usize, shift: usize) -> Option<Range<usize>> {
        let line = (i * self.stride + shift).checked_sub(self.padding)?;
        (line < self.image[0]).then(|| line * self.image[1]..(line + 1) * self.image[1])
    }

    /// The place in a line that output column `first` sees.
    fn start(&self, first: usize, shift: usize) -> usize {
        (first * self.stride + shift).saturating_sub(self.padding).min(self.image[1])
    }

    /// The output columns whose point at `shift` lies within the image: those j with
    /// `padding ≤ j·stride + shift < padding + width`.
    fn inside(&self, shift: usize) -> (usize, usize) {
        let columns = self.output[1];
        let first = self.padding.saturating_sub(shift).div_ceil(self.stride).min(columns);
        let end = (self.padding + self.image[1]).saturating_sub(shift);
        (first, end.div_ceil(self.stride).clamp(first, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_side_by_side_and_fold_back() {
        let window = Window {
            channels: 1,
            image: [1, 2],
            kernel: [3, 3],
            output: [1, 2],
            stride: 1,
            padding: 1,
            dilation: 1,
        };
        let images = [1.0, 2.0, 3.0, 4.0];
        let mut scratch = [f64::NAN; 36];
        let windows = window.unfold(images.chunks(2), &mut scratch);
        assert_eq!(windows[12..24], [0.0, 1.0, 0.0, 3.0, 1.0, 2.0, 3.0, 4.0, 2.0, 0.0, 4.0, 0.0]);
        assert!(windows[..12].iter().chain(&windows[24..]).all(|&v| v == 0.0));
        let mut counts = [0.0; 4];
        window.fold(&mut [1.0; 36], counts.chunks_mut(2));
        assert_eq!(counts, [2.0; 4]);
    }
}
