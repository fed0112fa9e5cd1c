//! Sums over slices, side by side in the lanes of vectors.
//!
//! A short block is summed in the precision of its values, in lanes that are then added in pairs; blocks are
//! added in f64. The order is fixed by the length alone. To be called inside [`wide`](crate::simd::wide).

use super::host::Real;

/// Sums taken side by side: as many as make the compiler keep them in vectors.
const LANES: usize = 64;

/// Values that are summed in their own precision.
pub(super) const BLOCK: usize = 1024;

/// Σ f(x)
#[inline(always)]
pub(super) fn sum<T: Real>(x: &[T], f: impl Fn(T) -> T) -> f64 {
    sums(x, x, |x, _| [f(x)])[0]
}

/// Several sums of values made from two slices of one length.
#[inline(always)]
pub(super) fn sums<T: Real, const N: usize>(a: &[T], b: &[T], f: impl Fn(T, T) -> [T; N]) -> [f64; N] {
    let mut total = [0.0; N];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let block = block(a, b, &f);
        for (total, lanes) in total.iter_mut().zip(block) {
            *total += in_pairs(lanes).to_f64();
        }
    }
    total
}

#[inline(always)]
fn block<T: Real, const N: usize>(a: &[T], b: &[T], f: &impl Fn(T, T) -> [T; N]) -> [[T; LANES]; N] {
    let mut lanes = [[T::zero(); LANES]; N];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (whole_a.remainder(), whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for lane in 0..LANES {
            let values = f(a[lane], b[lane]);
            for n in 0..N {
                lanes[n][lane] += values[n];
            }
        }
    }
    // In lanes of their own, so that those of the loop above stay in registers.
    let mut rest = [[T::zero(); LANES]; N];
    for (lane, (&a, &b)) in rest_a.iter().zip(rest_b).enumerate() {
        let values = f(a, b);
        for n in 0..N {
            rest[n][lane] = values[n];
        }
    }
    for n in 0..N {
        for lane in 0..LANES {
            lanes[n][lane] += rest[n][lane];
        }
    }
    lanes
}

#[inline(always)]
fn in_pairs<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            let other = lanes[lane + half];
            lanes[lane] += other;
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_any_length() {
        for n in [0, 1, 63, 64, 65, 1023, 1024, 1025, 5000] {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let expected = f64::from(n * (n - 1).max(0)) / 2.0;
            assert_eq!(sum(&x, |v| v), expected);
            assert_eq!(sums(&x, &x, |a, b| [a, a - b, b + 1.0]), [expected, 0.0, expected + f64::from(n)]);
        }
    }
}
