//! The one-dimensional maps at the points 0, ±a, ±b and ∞.
//!
//! a = 5/8 and b = 3/2 are exact in binary, as are their squares, and lie so that rounding errors stay small:
//! half of those at the common choice 1 and 2, measured in f32 over depths of 16 and 256 channels.

use crate::ops::host::Real;

/// Tiles that are transformed side by side.
pub(super) const LANES: usize = 16;

/// Values at which a tile is known.
pub(super) const POINTS: usize = 36;

/// `N × N` values of each of some tiles side by side.
pub(super) type Square<T, const N: usize> = [[[T; LANES]; N]; N];

/// No values yet.
pub(super) fn blank<T: Real, const N: usize>() -> Square<T, N> {
    [[[T::zero(); LANES]; N]; N]
}

/// Applies a one-dimensional map to the columns and then to the rows of all tiles, with room for what lies
/// between.
#[inline(always)]
pub(super) fn both_ways<T: Real, const N: usize, const M: usize>(
    from: &Square<T, N>,
    half: &mut Square<T, 6>,
    to: &mut Square<T, M>,
    map: impl Fn([T; N]) -> [T; M],
) {
    for j in 0..N {
        for lane in 0..LANES {
            let values = map(std::array::from_fn(|i| from[i][j][lane]));
            for i in 0..M {
                half[i][j][lane] = values[i];
            }
        }
    }
    for (half, to) in half.iter().zip(to) {
        for lane in 0..LANES {
            let values = map(std::array::from_fn(|j| half[j][lane]));
            for j in 0..M {
                to[j][lane] = values[j];
            }
        }
    }
}

/// The points ±a and ±b with their powers, and what kernels are divided by at 0, ±a and ±b.
#[derive(Clone, Copy)]
pub(super) struct Points<T> {
    a: [T; 3],
    b: [T; 3],
    scale: [T; 3],
}

impl<T: Real> Points<T> {
    pub(super) fn new() -> Self {
        let (a, b) = (0.625, 1.5);
        let (aa, bb): (f64, f64) = (a * a, b * b);
        let real = |values: [f64; 3]| values.map(T::from_f64);
        Self {
            a: real([a, aa, aa * a]),
            b: real([b, bb, bb * b]),
            scale: real([1.0 / (aa * bb), 0.5 / (aa * (aa - bb)), 0.5 / (bb * (bb - aa))]),
        }
    }

    /// Bᵀ: six inputs.
    #[inline(always)]
    pub(super) fn inputs(&self, d: [T; 6]) -> [T; 6] {
        let (aa, bb) = (self.a[1], self.b[1]);
        let (even_a, odd) = (d[4] - bb * d[2], d[3] - bb * d[1]);
        let odd_a = self.a[0] * odd;
        let (even_b, odd_b) = (d[4] - aa * d[2], self.b[0] * (d[3] - aa * d[1]));
        [
            even_a - aa * (d[2] - bb * d[0]),
            even_a + odd_a,
            even_a - odd_a,
            even_b + odd_b,
            even_b - odd_b,
            d[5] - bb * d[3] - aa * odd,
        ]
    }

    /// G with three columns: a kernel.
    #[inline(always)]
    pub(super) fn kernel(&self, g: [T; 3]) -> [T; 6] {
        self.factor([g[0], g[1], g[2], T::zero()], g[2])
    }

    /// G with four columns: the gradient of four outputs.
    #[inline(always)]
    pub(super) fn gradient(&self, g: [T; 4]) -> [T; 6] {
        self.factor(g, g[3])
    }

    /// Aᵀ with four rows: outputs.
    #[inline(always)]
    pub(super) fn outputs(&self, m: [T; 6]) -> [T; 4] {
        let (a, b) = (m[1] - m[2], m[3] - m[4]);
        let [first, second, third] = self.lower(m);
        [first, second, third, self.a[2] * a + self.b[2] * b + m[5]]
    }

    /// Aᵀ with three rows: the gradient of a kernel.
    #[inline(always)]
    pub(super) fn taps(&self, m: [T; 6]) -> [T; 3] {
        let [first, second, third] = self.lower(m);
        [first, second, third + m[5]]
    }

    #[inline(always)]
    fn factor(&self, g: [T; 4], last: T) -> [T; 6] {
        let at = |p: [T; 3], scale: T| {
            let (even, odd) = (scale * (g[0] + p[1] * g[2]), scale * (p[0] * (g[1] + p[1] * g[3])));
            [even + odd, even - odd]
        };
        let ([a, minus_a], [b, minus_b]) = (at(self.a, self.scale[1]), at(self.b, self.scale[2]));
        [self.scale[0] * g[0], a, minus_a, b, minus_b, last]
    }

    #[inline(always)]
    fn lower(&self, m: [T; 6]) -> [T; 3] {
        let (even_a, odd_a) = (m[1] + m[2], m[1] - m[2]);
        let (even_b, odd_b) = (m[3] + m[4], m[3] - m[4]);
        [
            m[0] + (even_a + even_b),
            self.a[0] * odd_a + self.b[0] * odd_b,
            self.a[1] * even_a + self.b[1] * even_b,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: [f64; 6] = [0.3, -1.2, 2.5, 0.7, -0.4, 1.9];
    const G: [f64; 4] = [1.5, -0.6, 0.8, -2.1];

    fn product(a: [f64; 6], b: [f64; 6]) -> [f64; 6] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    fn correlate(g: &[f64], i: usize) -> f64 {
        g.iter().zip(&D[i..]).map(|(g, d)| g * d).sum()
    }

    #[test]
    fn four_outputs_of_three_taps() {
        let points = Points::new();
        let y = points.outputs(product(points.kernel([G[0], G[1], G[2]]), points.inputs(D)));
        (0..4).for_each(|i| assert!((y[i] - correlate(&G[..3], i)).abs() < 1e-14));
    }

    #[test]
    fn three_taps_of_four_gradients() {
        let points = Points::new();
        let dw = points.taps(product(points.gradient(G), points.inputs(D)));
        (0..3).for_each(|i| assert!((dw[i] - correlate(&G, i)).abs() < 1e-14));
    }
}
