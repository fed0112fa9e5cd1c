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

/// A vector of `len` values that `f(start, values)` computes in parallel on rayon's current pool, `chunk` at a time from place
/// `start` on, and what it gives for each chunk besides, in their order.
///
/// Every chunk is made of [`Default`] values when `f` gets it, and is so only just: what is written over it is still in the
/// cache, and memory is taken by the thread that writes it. A `chunk` of 0 is one of 1.
///
/// # Example
/// ```
/// use taskweave_kernels::fresh_beside;
/// let (values, sums) = fresh_beside(5, 2, |start, values: &mut [f32]| {
///     values.iter_mut().enumerate().for_each(|(i, value)| *value = (start + i) as f32);
///     values.iter().sum::<f32>()
/// });
/// assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(sums, [1.0, 5.0, 4.0]);
/// ```
pub fn fresh_beside<T: Copy + Default + Send, R: Send>(
    len: usize,
    chunk: usize,
    f: impl Fn(usize, &mut [T]) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    let (mut values, chunk) = (Vec::with_capacity(len), chunk.max(1));
    let place = &mut values.spare_capacity_mut()[..len];
    let one = |(i, part): (usize, &mut [MaybeUninit<T>])| f(i * chunk, zeroed(part));
    let beside = match len.div_ceil(chunk) {
        // A thread of the pool would take longer to wake up than the work takes.
        0 | 1 => place.chunks_mut(chunk).enumerate().map(one).collect(),
        _ => place.par_chunks_mut(chunk).enumerate().map(one).collect(),
    };
    // SAFETY: the chunks cover the first `len` values, and `zeroed` has written each of them.
    unsafe { values.set_len(len) };
    (values, beside)
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
