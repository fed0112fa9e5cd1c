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
    let chunks = len.div_ceil(chunk.max(1));
    chunks_with(len, chunk, vec![(); chunks], |start, values, ()| f(start, values))
}

/// Numbers of which a thread has gone through all before one that sleeps is awake.
const BRIEF: usize = 1 << 19;

/// Whether a few instructions for each of so many numbers are better left to the calling thread: it is none of the pool,
/// whose threads may sleep then.
pub(crate) fn brief(numbers: usize) -> bool {
    numbers <= BRIEF && rayon::current_thread_index().is_none()
}

/// [`fresh`], on the calling thread where going through so many numbers is [`brief`].
pub(crate) fn fresh_light<T: Real>(
    len: usize,
    chunk: usize,
    numbers: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    if !brief(numbers) {
        return fresh(len, chunk, f);
    }
    let mut values = vec![T::zero(); len];
    let chunk = chunk.max(1);
    values.chunks_mut(chunk).enumerate().for_each(|(i, values)| f(i * chunk, values));
    values
}

/// A vector of `len` values that `f(start, values, own)` computes in parallel on rayon's current pool, `chunk` at a time from
/// place `start` on, and what it gives for each chunk besides, in their order.
///
/// Every chunk is made of [`Default`] values when `f` gets it, and is so only just: what is written over it is still in the
/// cache, and memory is taken by the thread that writes it. `own` has something for each chunk to work with. A `chunk` of 0
/// is one of 1.
///
/// # Panics
/// Where `own` has not one value for each chunk.
///
/// # Example
/// ```
/// use taskweave_kernels::chunks_with;
/// let (values, sums) = chunks_with(5, 2, vec![10.0, 20.0, 30.0], |start, values: &mut [f32], own| {
///     values.iter_mut().enumerate().for_each(|(i, value)| *value = own + (start + i) as f32);
///     values.iter().sum::<f32>()
/// });
/// assert_eq!(values, [10.0, 11.0, 22.0, 23.0, 34.0]);
/// assert_eq!(sums, [21.0, 45.0, 34.0]);
/// ```
pub fn chunks_with<T: Copy + Default + Send, C: Send, R: Send>(
    len: usize,
    chunk: usize,
    own: Vec<C>,
    f: impl Fn(usize, &mut [T], C) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    let (mut values, chunk) = (Vec::with_capacity(len), chunk.max(1));
    assert_eq!(own.len(), len.div_ceil(chunk), "one value for each chunk");
    let place = &mut values.spare_capacity_mut()[..len];
    let beside = match own.len() {
        // A thread of the pool would take longer to wake up than the work takes.
        0 | 1 => own.into_iter().map(|own| f(0, zeroed(place), own)).collect(),
        _ => {
            let parts = place.par_chunks_mut(chunk).zip(own).enumerate();
            parts.map(|(i, (part, own))| f(i * chunk, zeroed(part), own)).collect()
        }
    };
    // SAFETY: the chunks cover the first `len` values, and `zeroed` has written each of them.
    unsafe { values.set_len(len) };
    (values, beside)
}

fn zeroed<T: Copy + Default>(part: &mut [MaybeUninit<T>]) -> &mut [T] {
    part.iter_mut().for_each(|value| {
        value.write(T::default());
    });
    // SAFETY: every value has just been written, and `MaybeUninit<T>` lies in memory as `T` does.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [T]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brief_work_gives_the_same_on_the_calling_thread() {
        let double = |start: usize, part: &mut [f32]| {
            part.iter_mut().enumerate().for_each(|(i, v)| *v += 2.0 * (start + i) as f32);
        };
        assert!(brief(BRIEF) && !brief(BRIEF + 1));
        assert!(!rayon::ThreadPoolBuilder::new().build().unwrap().install(|| brief(1)));
        assert_eq!(fresh_light(10, 4, 10, double), fresh_light(10, 4, BRIEF + 1, double));
    }

    #[test]
    fn every_value_is_written_at_its_place() {
        let values = fresh(10, 4, |start, part: &mut [f32]| {
            part.iter_mut().enumerate().for_each(|(i, v)| *v += (start + i) as f32);
        });
        assert_eq!(values, (0..10).map(|i| i as f32).collect::<Vec<_>>());
        assert!(fresh(0, 0, |_, _: &mut [f64]| {}).is_empty());
    }
}
