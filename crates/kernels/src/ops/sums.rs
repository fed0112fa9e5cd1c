//! Sums over the planes of images.

use rayon::prelude::*;

use super::host::Real;
use crate::simd::wide;

/// The sum over each channel's planes in all images.
pub(super) fn plane_sums<T: Real>(values: &[T], channels: usize, plane: usize) -> Vec<T> {
    let sum = |channel| {
        wide(
            #[inline(always)]
            || plane_sum(values, channels * plane, channel * plane, plane),
        )
    };
    (0..channels).into_par_iter().map(sum).collect()
}

/// The sum over `plane` values from `start` in each image, as sixteen sums side by side.
#[inline(always)]
fn plane_sum<T: Real>(values: &[T], image: usize, start: usize, plane: usize) -> T {
    let mut sums = [T::zero(); 16];
    for values in values.chunks(image) {
        for values in values[start..start + plane].chunks(16) {
            sums.iter_mut().zip(values).for_each(|(sum, &v)| *sum += v);
        }
    }
    sums.iter().fold(T::zero(), |all, &sum| all + sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_summed_over_all_images() {
        let values: Vec<f64> = (0..2 * 3 * 17).map(f64::from).collect();
        let sum = |channel: usize| -> f64 {
            let plane = |image: usize| (image * 3 + channel) * 17..(image * 3 + channel + 1) * 17;
            plane(0).chain(plane(1)).map(|i| i as f64).sum()
        };
        assert_eq!(plane_sums(&values, 3, 17), [sum(0), sum(1), sum(2)]);
    }
}
