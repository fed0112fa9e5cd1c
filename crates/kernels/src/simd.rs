//! Loops in the widest vectors that the processor has.
//!
//! Programs are compiled for the oldest processor of an architecture; which vectors the one at hand has is asked
//! once, while the program runs. The arithmetic is the same for all of them: the compiler neither reorders sums
//! nor fuses products into them on its own, so that results do not depend on the width.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

/// Runs `f`, compiled for the widest vectors at hand.
///
/// What `f` calls takes part only where it is inlined: mark it `#[inline(always)]`, and `f` itself too.
///
/// # Example
/// ```
/// let mut x = [1f32, -2.0, 3.0];
/// taskweave_kernels::wide(
///     #[inline(always)]
///     || x.iter_mut().for_each(|x| *x = x.max(0.0)),
/// );
/// assert_eq!(x, [1.0, 0.0, 3.0]);
/// ```
#[inline(always)]
#[allow(clippy::redundant_closure, reason = "what is handed over has to be inlined, and `f` need not be")]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || f(),
    )
}

/// Asks for numbers that will be read a little later, as far as there are any: the processor foresees what is next in a
/// page of memory, but not the next page.
#[inline(always)]
pub(crate) fn fetch<T>(values: &[T], range: Range<usize>) {
    let ahead = values.get(range.start..range.end.min(values.len())).unwrap_or_default();
    #[cfg(target_arch = "x86_64")]
    for line in ahead.chunks((64 / size_of::<T>().max(1)).max(1)) {
        // SAFETY: every processor of this architecture has the instruction, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ahead;
}

#[cfg(test)]
mod tests {
    use super::wide;

    #[test]
    fn the_result_is_that_of_the_plain_loop() {
        let x: Vec<f32> = (0..1000).map(|i| (i as f32).sin()).collect();
        let plain: Vec<f32> = x.iter().map(|v| v * 1.5 + 0.25).collect();
        assert_eq!(wide(|| x.iter().map(|v| v * 1.5 + 0.25).collect::<Vec<f32>>()), plain);
    }
}
