//! Convolution with kernels of one channel each, as a direct loop.
//!
//! A plane is copied onto a canvas with zeros around it. There an output sees its inputs at the same distances as
//! every other, so that a whole plane is one long sum of the canvas shifted, times the kernel's values; what lies
//! between two lines is computed and left out. Gradients are spread with the stride onto canvases of their own:
//! the gradient of the input is the same loop with the kernel turned by 180°.

use rayon::prelude::*;

use super::algorithm::Algorithm;
use super::host::Real;
use super::unfold::Window;
use crate::simd::wide;

/// Values that are summed side by side.
const LANES: usize = 16;

/// A convolution in which `out / channels` kernels see each channel.
#[derive(Clone, Copy)]
pub(super) struct Depthwise {
    pub(super) channels: usize,
    pub(super) out: usize,
    pub(super) window: Window,
}

/// The size of a canvas, and where on it a plane begins, whose values lie `step` apart.
struct Canvas {
    size: [usize; 2],
    start: [isize; 2],
    step: usize,
}

impl<T: Real> Algorithm<T> for Depthwise {
    fn forward(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let (canvas, stride) = (self.inputs(), self.window.stride);
        let ([rows, columns], pitch) = (self.window.output, canvas.size[1]);
        let places = self.places(pitch);
        let len = (rows * columns).max(1);
        let mut y = vec![T::zero(); x.len() / self.window.image_len() / self.channels * self.out * len];
        let kernels = weight.chunks(places.len());
        let kernels: Vec<Vec<(usize, T)>> =
            kernels.map(|kernel| places.iter().copied().zip(kernel.iter().copied()).collect()).collect();
        y.par_chunks_mut(len).enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(padded, sums), (plane, y)| {
                let channel = plane % self.out;
                canvas.draw(self.plane(x, plane), self.window.image, padded);
                for (i, y) in y.chunks_mut(columns).enumerate() {
                    // At stride 1 the first line's sums go on through all others.
                    let run =
                        if stride == 1 { (rows - 1) * pitch + columns } else { (columns - 1) * stride + 1 };
                    if stride > 1 || i == 0 {
                        sums.clear();
                        sums.resize(run.next_multiple_of(LANES), bias[channel]);
                        add(&kernels[channel], &padded[i * stride * pitch..], sums);
                    }
                    if stride == 1 {
                        y.copy_from_slice(&sums[i * pitch..][..columns]);
                    } else {
                        y.iter_mut().zip(sums.iter().step_by(stride)).for_each(|(y, &v)| *y = v);
                    }
                }
            },
        );
        y
    }

    fn input_gradient(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let Window { image: [height, width], output, kernel: [kh, kw], .. } = self.window;
        let (canvas, multiple) = (self.gradients(), self.out / self.channels);
        let (pitch, len) = (canvas.size[1], output[0] * output[1]);
        let places = self.places(pitch);
        let batch = dy.len() / (self.out * len);
        let mut dx = vec![T::zero(); batch * self.channels * height * width];
        let planes = dx.par_chunks_mut(height * width).zip(dy.par_chunks(multiple * len));
        planes.enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(padded, sums), (plane, (dx, dy))| {
                sums.clear();
                sums.resize(((height - 1) * pitch + width).next_multiple_of(LANES), T::zero());
                let weight = weight[plane % self.channels * multiple * kh * kw..].chunks(kh * kw);
                for (dy, kernel) in dy.chunks(len).zip(weight) {
                    canvas.draw(dy, output, padded);
                    let turned: Vec<_> = places.iter().copied().zip(kernel.iter().rev().copied()).collect();
                    add(&turned, padded, sums);
                }
                let lines = dx.chunks_mut(width).zip(sums.chunks(pitch));
                lines.for_each(|(dx, sums)| dx.copy_from_slice(&sums[..width]));
            },
        );
        dx
    }

    /// Each kernel's gradient is one sum in the order of the images.
    fn weight_gradient(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let (of_x, output) = (self.inputs(), self.window.output);
        let of_dy = Canvas { start: [0, 0], step: self.window.stride, ..self.inputs() };
        let places = self.places(of_x.size[1]);
        let len = output[0] * output[1];
        let mut dw = vec![T::zero(); self.out * places.len()];
        dw.par_chunks_mut(places.len()).enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(x_lines, dy_lines), (channel, dw)| {
                let mut sums = vec![[T::zero(); LANES]; places.len()];
                for plane in (channel..dy.len() / len).step_by(self.out) {
                    of_x.draw(self.plane(x, plane), self.window.image, x_lines);
                    of_dy.draw(&dy[plane * len..][..len], output, dy_lines);
                    let used = dy_lines.len() - LANES - places.last().copied().unwrap_or(0);
                    let used = used.next_multiple_of(LANES);
                    multiply(&places, [&dy_lines[..used], x_lines], &mut sums);
                }
                let all = |sums: &[T; LANES]| sums.iter().fold(T::zero(), |all, &v| all + v);
                dw.iter_mut().zip(&sums).for_each(|(dw, sums)| *dw = all(sums));
            },
        );
        dw
    }
}

impl Depthwise {
    /// The plane that an output plane is computed from.
    fn plane<'a, T>(&self, x: &'a [T], output: usize) -> &'a [T] {
        let (image, channel) = (output / self.out, output % self.out * self.channels / self.out);
        let len = self.window.image_len();
        &x[(image * self.channels + channel) * len..][..len]
    }

    /// How far apart the first and the last value of a window are, in each direction.
    fn reach(&self) -> [usize; 2] {
        self.window.kernel.map(|n| (n - 1) * self.window.dilation)
    }

    /// An input with its padding.
    fn inputs(&self) -> Canvas {
        let padding = self.window.padding;
        let size = self.window.image.map(|n| n + 2 * padding);
        Canvas { size, start: [padding as isize; 2], step: 1 }
    }

    /// The gradient of an output as far as windows of the turned kernel see it.
    fn gradients(&self) -> Canvas {
        let ([height, width], [down, right]) = (self.window.image, self.reach());
        let start = [down, right].map(|n| n as isize - self.window.padding as isize);
        Canvas { size: [height + down, width + right], start, step: self.window.stride }
    }

    /// Where the kernel's values lie on a canvas.
    fn places(&self, pitch: usize) -> Vec<usize> {
        let ([kh, kw], dilation) = (self.window.kernel, self.window.dilation);
        (0..kh * kw).map(|tap| (tap / kw * pitch + tap % kw) * dilation).collect()
    }
}

impl Canvas {
    /// Draws a plane among zeros, with room for a group of values after the end.
    fn draw<T: Real>(&self, plane: &[T], [_, width]: [usize; 2], to: &mut Vec<T>) {
        let [height, pitch] = self.size;
        to.clear();
        to.resize(height * pitch + LANES, T::zero());
        let at = |i: usize, axis: usize| {
            usize::try_from((i * self.step) as isize + self.start[axis]).ok().filter(|&i| i < self.size[axis])
        };
        let first = (0..width).find(|&j| at(j, 1).is_some());
        let Some((first, column)) = first.and_then(|j| Some((j, at(j, 1)?))) else { return };
        for (i, line) in plane.chunks(width).enumerate() {
            let Some(row) = at(i, 0) else { continue };
            let (to, line) = (&mut to[row * pitch + column..(row + 1) * pitch], &line[first..]);
            if self.step == 1 {
                let len = to.len().min(line.len());
                to[..len].copy_from_slice(&line[..len]);
            } else {
                to.iter_mut().step_by(self.step).zip(line).for_each(|(to, &v)| *to = v);
            }
        }
    }
}

/// Adds the canvas, shifted to each place and times its value, to whole groups of sums.
fn add<T: Real>(kernel: &[(usize, T)], canvas: &[T], sums: &mut [T]) {
    wide(
        #[inline(always)]
        || {
            for (group, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let (mut sum, canvas) = (*sums, &canvas[group * LANES..]);
                for &(place, value) in kernel {
                    let from = &canvas[place..place + LANES];
                    sum.iter_mut().zip(from).for_each(|(sum, &v)| *sum += value * v);
                }
                *sums = sum;
            }
        },
    );
}

/// Adds the products of whole groups of gradients with the canvas shifted to each place, side by side.
fn multiply<T: Real>(places: &[usize], [dy, x]: [&[T]; 2], sums: &mut [[T; LANES]]) {
    wide(
        #[inline(always)]
        || {
            for (sums, &place) in sums.iter_mut().zip(places) {
                let mut sum = *sums;
                for (dy, x) in dy.as_chunks::<LANES>().0.iter().zip(x[place..].as_chunks::<LANES>().0) {
                    for lane in 0..LANES {
                        sum[lane] += dy[lane] * x[lane];
                    }
                }
                *sums = sum;
            }
        },
    );
}
