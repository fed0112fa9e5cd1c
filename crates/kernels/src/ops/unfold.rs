//! The windows of an image as the columns of a matrix (im2col), and back.

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
    pub(super) fn image_len(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Rows of the matrix: values under one window.
    pub(super) fn depth(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Columns of the matrix: places of the window.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// A 1 × 1 kernel sees the image itself, which needs no copy.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == 0
    }

    pub(super) fn scratch_len(&self) -> usize {
        if self.is_pointwise() { 0 } else { self.depth() * self.positions() }
    }

    /// The matrix `[depth, positions]` of an image, written into `scratch` where a copy is needed.
    pub(super) fn unfold<'a, T: Real>(&self, x: &'a [T], scratch: &'a mut [T]) -> &'a [T] {
        if self.is_pointwise() {
            return x;
        }
        let columns = self.output[1];
        self.each_row(|to, from| {
            let row = &mut scratch[to..to + columns];
            match from {
                None => row.fill(T::zero()),
                Some(span) => self.read_row(row, &x[span.row..span.row + self.image[1]], span.shift),
            }
        });
        scratch
    }

    /// Adds a matrix `[depth, positions]` back onto the image that its windows came from.
    pub(super) fn fold<T: Real>(&self, windows: &[T], x: &mut [T]) {
        if self.is_pointwise() {
            x.iter_mut().zip(windows).for_each(|(x, &v)| *x += v);
            return;
        }
        let columns = self.output[1];
        self.each_row(|from, to| {
            let Some(span) = to else { return };
            let line = &mut x[span.row..span.row + self.image[1]];
            let (first, last) = self.inside(span.shift);
            let row = &windows[from..from + columns];
            let start = first * self.stride + span.shift - self.padding;
            let places = line[start.min(self.image[1])..].iter_mut().step_by(self.stride);
            places.zip(&row[first..last.max(first)]).for_each(|(x, &v)| *x += v);
        });
    }

    fn read_row<T: Real>(&self, row: &mut [T], line: &[T], shift: usize) {
        let (first, last) = self.inside(shift);
        if first >= last {
            row.fill(T::zero());
            return;
        }
        row[..first].fill(T::zero());
        row[last..].fill(T::zero());
        let start = first * self.stride + shift - self.padding;
        if self.stride == 1 {
            row[first..last].copy_from_slice(&line[start..start + last - first]);
        } else {
            let places = line[start..].iter().step_by(self.stride);
            row[first..last].iter_mut().zip(places).for_each(|(to, &from)| *to = from);
        }
    }

    /// The output columns whose point at `shift` lies within the image: those j with
    /// `padding ≤ j·stride + shift < padding + width`.
    fn inside(&self, shift: usize) -> (usize, usize) {
        let columns = self.output[1];
        let first = self.padding.saturating_sub(shift).div_ceil(self.stride).min(columns);
        let end = (self.padding + self.image[1]).saturating_sub(shift);
        (first, end.div_ceil(self.stride).min(columns))
    }

    /// Calls `f` with the start of every run of columns in the matrix and the image row that it sees.
    fn each_row(&self, mut f: impl FnMut(usize, Option<Span>)) {
        let ([h, w], [kh, kw]) = (self.image, self.kernel);
        let mut to = 0;
        for channel in 0..self.channels {
            for point in 0..kh * kw {
                let (u, v) = (point / kw * self.dilation, point % kw * self.dilation);
                for i in 0..self.output[0] {
                    let line = (i * self.stride + u).checked_sub(self.padding).filter(|&line| line < h);
                    f(to, line.map(|line| Span { row: (channel * h + line) * w, shift: v }));
                    to += self.output[1];
                }
            }
        }
    }
}

/// A row of the image, and how far right of the window's corner it is read.
struct Span {
    row: usize,
    shift: usize,
}
