//! Sums over a row, in a fixed number of lanes: vector instructions for the compiler, one order for all processors.

use crate::math::Exp;

const LANES: usize = 16;

/// The largest value that is not NaN, −∞ of nothing.
#[inline(always)]
pub(super) fn largest<T: Exp>(row: &[T]) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let mut lanes = [T::from_f64(f64::NEG_INFINITY); LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane = larger(*lane, x));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(T::from_f64(f64::NEG_INFINITY), larger)
}

/// Turns x into e^(x − shift), and gives the sum.
#[inline(always)]
pub(super) fn exponentials<T: Exp>(row: &mut [T], shift: T) -> T {
    let mut lanes = [T::zero(); LANES];
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = (*x - shift).exp_fast();
            *lane += *x;
        }
    }
    let rest = chunks.into_remainder();
    rest.iter_mut().for_each(|x| *x = (*x - shift).exp_fast());
    sum(lanes, rest.iter().copied())
}

/// Σ e^(x − shift)
#[inline(always)]
pub(super) fn exponential_sum<T: Exp>(row: &[T], shift: T) -> T {
    let mut lanes = [T::zero(); LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane += (x - shift).exp_fast());
    }
    sum(lanes, rest.iter().map(|&x| (x - shift).exp_fast()))
}

/// Σ a b
#[inline(always)]
pub(super) fn dot<T: Exp>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder()).map(|(&a, &b)| a * b);
    for (a, b) in a.zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    sum(lanes, rest)
}

/// Σ a
#[inline(always)]
pub(super) fn total<T: Exp>(row: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane += x);
    }
    sum(lanes, rest.iter().copied())
}

#[inline(always)]
fn sum<T: Exp>(lanes: [T; LANES], rest: impl Iterator<Item = T>) -> T {
    lanes.into_iter().chain(rest).fold(T::zero(), |sum, x| sum + x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_what_is_left_count_alike() {
        for n in [0usize, 1, 15, 16, 17, 50] {
            let row: Vec<f64> = (0..n).map(|i| i as f64 - 3.0).collect();
            let plain = row.iter().map(|x| (x - 1.0).exp()).sum::<f64>();
            let mut turned = row.clone();
            assert!((exponentials(&mut turned, 1.0) - plain).abs() <= 1e-14 * plain);
            assert!((exponential_sum(&row, 1.0) - plain).abs() <= 1e-14 * plain);
            assert_eq!(dot(&row, &row), row.iter().map(|x| x * x).sum::<f64>());
            assert_eq!(total(&row), row.iter().sum::<f64>());
            assert_eq!(largest(&row), row.last().copied().unwrap_or(f64::NEG_INFINITY));
        }
    }
}
