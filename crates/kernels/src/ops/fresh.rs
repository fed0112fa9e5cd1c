//! Memory for results that is written once.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::host::Real;

/// A vector of `len` values that `f(start, values)` computes in parallel, `chunk` at a time from place `start` on.
///
/// Every chunk is zero when `f` gets it, and is so only just: what is written over it is still in the cache.
pub(crate) fn fresh<T: Real>(len: usize, chunk: usize, f: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    fresh_beside(len, chunk, f).0
}

/// The same, and what `f` gives for each chunk besides, in their order.
pub(super) fn fresh_beside<T: Real, R: Send>(
    len: usize,
    chunk: usize,
    f: impl Fn(usize, &mut [T]) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    let (mut values, chunk) = (Vec::with_capacity(len), chunk.max(1));
    let parts = values.spare_capacity_mut()[..len].par_chunks_mut(chunk).enumerate();
    let beside = parts.map(|(i, part)| f(i * chunk, zeroed(part))).collect();
    // SAFETY: the chunks cover the first `len` values, and `zeroed` has written each of them.
    unsafe { values.set_len(len) };
    (values, beside)
}

fn zeroed<T: Real>(part: &mut [MaybeUninit<T>]) -> &mut [T] {
    part.iter_mut().for_each(|value| {
        value.write(T::zero());
    });
    // SAFETY: every value has just been written, and `MaybeUninit<T>` lies in memory as `T` does.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [T]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_written_at_its_place() {
        let values = fresh(10, 4, |start, part: &mut [f32]| {
            part.iter_mut().enumerate().for_each(|(i, v)| *v += (start + i) as f32);
        });
        assert_eq!(values, (0..10).map(|i| i as f32).collect::<Vec<_>>());
        assert!(fresh(0, 0, |_, _: &mut [f64]| {}).is_empty());
    }
}
