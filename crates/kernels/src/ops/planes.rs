//! Planes of values, an affine map for each: what normalizations over batches and groups of channels share.

use rayon::prelude::*;

use super::activation::Activation;
use super::fresh::fresh;
use super::host::Real;
use super::lanes;
use crate::math::Exp;
use crate::simd::wide;

/// Values that one task of the pool works on.
const TASK: usize = 1 << 14;

/// How many values there are, their mean, and the sum of their squared distances to it.
#[derive(Clone, Copy, Default)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) squares: f64,
}

impl Moments {
    /// Those of all planes of `space` values.
    pub(super) fn of_planes<T: Real>(x: &[T], space: usize) -> Vec<Self> {
        per_plane(
            x,
            space,
            #[inline(always)]
            |_, plane| Self::of(plane),
        )
    }

    /// Those of two sets together.
    /// Reference: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    /// Variances", COMPSTAT 1982.
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        let (count, apart) = (self.count + other.count, other.mean - self.mean);
        let share = other.count / count.max(1.0);
        let squares = self.squares + other.squares + apart * apart * self.count * share;
        Self { count, mean: self.mean + apart * share, squares }
    }

    /// Those of one slice, read from memory once.
    #[inline(always)]
    pub(super) fn of<T: Real>(values: &[T]) -> Self {
        let mut all = Self::default();
        for block in values.chunks(lanes::BLOCK) {
            all = all.plus(Self::of_block(block));
        }
        all
    }

    /// Distances to a value of the block are small where its numbers are large, and so lose nothing.
    #[inline(always)]
    fn of_block<T: Real>(block: &[T]) -> Self {
        let (count, first) = (block.len() as f64, block[0]);
        let mean = first.to_f64() + lanes::sum(block, |v| v - first) / count;
        let center = T::from_f64(mean);
        let rounding = mean - center.to_f64();
        let squares = lanes::sum(block, |v| (v - center) * (v - center)) - count * rounding * rounding;
        Self { count, mean, squares }
    }
}

/// z = (x − center) · scale + shift
#[derive(Clone, Copy)]
pub(super) struct Affine<T> {
    pub(super) center: T,
    pub(super) scale: T,
    pub(super) shift: T,
}

impl<T: Exp> Affine<T> {
    #[inline(always)]
    fn at(self, x: T) -> T {
        (x - self.center) * self.scale + self.shift
    }

    /// What a ReLU after the map lets back: z is computed again, by the same steps and to the same bits.
    #[inline(always)]
    fn through_relu(self, x: T, dy: T) -> T {
        if self.at(x) > T::zero() { dy } else { T::zero() }
    }
}

/// Planes of `space` values; map number `plane % maps` belongs to a plane, and the activation follows it.
pub(super) struct Planes<'a, T> {
    pub(super) space: usize,
    pub(super) maps: &'a [Affine<T>],
    pub(super) activation: Activation,
}

impl<T: Exp> Planes<'_, T> {
    /// The activation of z.
    pub(super) fn values(&self, x: &[T]) -> Vec<T> {
        match self.activation {
            Activation::Identity => self.map(x, |z| z),
            Activation::Relu => self.map(x, |z| Activation::Relu.value(z)),
            Activation::Gelu => self.map(x, |z| Activation::Gelu.value(z)),
            Activation::Silu => self.map(x, |z| Activation::Silu.value(z)),
            Activation::Sigmoid => self.map(x, |z| Activation::Sigmoid.value(z)),
            Activation::Tanh => self.map(x, |z| Activation::Tanh.value(z)),
        }
    }

    fn map(&self, x: &[T], f: impl Fn(T) -> T + Sync) -> Vec<T> {
        self.write(
            x.len(),
            #[inline(always)]
            |plane, start, y| {
                let map = self.of(plane);
                for (y, &x) in y.iter_mut().zip(&x[start..]) {
                    *y = f(map.at(x));
                }
            },
        )
    }

    /// dz = dy ∘ slope, for activations whose slope is worth computing once. Of the others it is found again from x
    /// wherever it is needed.
    pub(super) fn slopes(&self, [x, dy]: [&[T]; 2]) -> Option<Vec<T>> {
        use Activation::{Gelu, Identity, Relu, Sigmoid, Silu, Tanh};
        match self.activation {
            Identity | Relu => None,
            Gelu => Some(self.pull([x, dy], |z| Gelu.slope(z))),
            Silu => Some(self.pull([x, dy], |z| Silu.slope(z))),
            Sigmoid => Some(self.pull([x, dy], |z| Sigmoid.slope(Sigmoid.value(z)))),
            Tanh => Some(self.pull([x, dy], |z| Tanh.slope(Tanh.value(z)))),
        }
    }

    fn pull(&self, [x, dy]: [&[T]; 2], slope: impl Fn(T) -> T + Sync) -> Vec<T> {
        self.write(
            x.len(),
            #[inline(always)]
            |plane, start, dz| {
                let map = self.of(plane);
                let inputs = x[start..].iter().zip(&dy[start..]);
                for (dz, (&x, &dy)) in dz.iter_mut().zip(inputs) {
                    *dz = dy * slope(map.at(x));
                }
            },
        )
    }

    /// Σ dz and Σ dz · (x − center) of each plane, where dz is `dy` itself or what a ReLU leaves of it.
    pub(super) fn sums(&self, [x, dy]: [&[T]; 2]) -> Vec<[f64; 2]> {
        let relu = self.activation == Activation::Relu;
        per_plane(
            x,
            self.space,
            #[inline(always)]
            |plane, x| {
                let (map, dy) = (self.of(plane), &dy[plane * self.space..][..self.space]);
                let both = |x: T, dz: T| [dz, dz * (x - map.center)];
                match relu {
                    true => lanes::sums(x, dy, |x, dy| both(x, map.through_relu(x, dy))),
                    false => lanes::sums(x, dy, both),
                }
            },
        )
    }

    /// dx = scale · dz + slope · (x − center) + offset, with a slope and an offset for each map.
    pub(super) fn inputs(&self, [x, dy]: [&[T]; 2], lines: &[[T; 2]]) -> Vec<T> {
        let relu = self.activation == Activation::Relu;
        self.write(
            x.len(),
            #[inline(always)]
            |plane, start, dx| {
                let (map, [slope, offset]) = (self.of(plane), lines[plane % lines.len()]);
                let inputs = x[start..].iter().zip(&dy[start..]);
                let of = |x: T, dz: T| map.scale * dz + (x - map.center) * slope + offset;
                match relu {
                    true => dx
                        .iter_mut()
                        .zip(inputs)
                        .for_each(|(dx, (&x, &dy))| *dx = of(x, map.through_relu(x, dy))),
                    false => dx.iter_mut().zip(inputs).for_each(|(dx, (&x, &dy))| *dx = of(x, dy)),
                }
            },
        )
    }

    fn of(&self, plane: usize) -> Affine<T> {
        self.maps[plane % self.maps.len()]
    }

    /// Results plane by plane from `f(plane, start, values)`.
    fn write(&self, len: usize, f: impl Fn(usize, usize, &mut [T]) + Sync) -> Vec<T> {
        let space = self.space.max(1);
        fresh(len, (TASK / space).max(1) * space, |start, values| {
            wide(
                #[inline(always)]
                || {
                    for (i, values) in values.chunks_mut(space).enumerate() {
                        f(start / space + i, start + i * space, values);
                    }
                },
            );
        })
    }
}

fn per_plane<T: Real, R: Send>(x: &[T], space: usize, f: impl Fn(usize, &[T]) -> R + Sync) -> Vec<R> {
    let planes = x.par_chunks(space.max(1)).with_min_len(TASK / space.max(1));
    planes
        .enumerate()
        .map(|(plane, x)| {
            wide(
                #[inline(always)]
                || f(plane, x),
            )
        })
        .collect()
}
