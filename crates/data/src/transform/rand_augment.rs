//! RandAugment: a few changes drawn at random from a fixed list, each of a random strength.
//!
//! | change | strength m in [0, 1] means |
//! | --- | --- |
//! | identity | – |
//! | rotate | up to ± 30 m degrees about the center |
//! | shear x, shear y | up to ± 0.3 m |
//! | translate x, translate y | up to ± 0.2 m of the side |
//! | brightness, contrast | factor 1 ± 0.9 m |
//! | posterize | to 2^(8 − 4 m) levels |
//! | solarize | values above 1 − m are turned to 1 − value |
//! | autocontrast | values of each channel stretched to [0, 1] |
//!
//! Values are taken to lie in [0, 1] and stay there. What comes from outside of the image is 0; geometric changes
//! move maps as they move images, by the nearest pixel.
//! Variants: one `strength` is the upper bound and each change draws its own below it, as FixMatch does; without
//! equalize, sharpness and color, which the original has too.
//! Reference: Cubuk et al., "RandAugment", NeurIPS 2020, <https://arxiv.org/abs/1909.13719>.

use taskweave_kernels::{Error, Result, Rng};

use super::image::{change_images, check_fraction, image_size};
use super::relocate::relocate;
use crate::{Sample, Transform};

/// A few changes drawn at random from a fixed list.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `changes` | – | ≥ 1 | how many changes, one after the other |
/// | `strength` | – | \[0, 1\] | the most that a change may do |
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_data::{RandAugment, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::zeros((1, 5, 5), DType::F32, &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let changed = RandAugment::new(2, 1.0)?.apply(sample, &mut Rng::new(0))?;
/// let values = changed.inputs["image"].flatten_all()?.to_vec1::<f32>()?;
/// assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RandAugment {
    changes: usize,
    strength: f64,
}

impl RandAugment {
    /// So many changes, each of at most this strength.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no changes or a strength outside \[0, 1\].
    pub fn new(changes: usize, strength: f64) -> Result<Self> {
        if changes == 0 {
            return Err(Error::parameter("changes of RandAugment", "at least 1", changes));
        }
        check_fraction("strength of RandAugment", strength)?;
        Ok(Self { changes, strength })
    }
}

impl Transform for RandAugment {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        (0..self.changes).try_fold(sample, |sample, _| {
            let change = CHANGES[rng.below(CHANGES.len())];
            let strength = rng.uniform() * self.strength;
            let sign = if rng.chance(0.5) { 1.0 } else { -1.0 };
            change.apply(sample, strength, sign)
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Identity,
    Rotate,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Brightness,
    Contrast,
    Posterize,
    Solarize,
    AutoContrast,
}

const CHANGES: [Change; 11] = [
    Change::Identity,
    Change::Rotate,
    Change::ShearX,
    Change::ShearY,
    Change::TranslateX,
    Change::TranslateY,
    Change::Brightness,
    Change::Contrast,
    Change::Posterize,
    Change::Solarize,
    Change::AutoContrast,
];

impl Change {
    fn apply(self, sample: Sample, strength: f64, sign: f64) -> Result<Sample> {
        let signed = sign * strength;
        match self {
            Self::Identity => Ok(sample),
            Self::Rotate => {
                let (sin, cos) = (30f64.to_radians() * signed).sin_cos();
                affine(sample, [[cos, -sin], [sin, cos]], [0.0; 2])
            }
            Self::ShearX => affine(sample, [[1.0, 0.0], [0.3 * signed, 1.0]], [0.0; 2]),
            Self::ShearY => affine(sample, [[1.0, 0.3 * signed], [0.0, 1.0]], [0.0; 2]),
            Self::TranslateX => affine(sample, IDENTITY, [0.0, 0.2 * signed]),
            Self::TranslateY => affine(sample, IDENTITY, [0.2 * signed, 0.0]),
            Self::Brightness => pixels(sample, |value, _| value * (1.0 + 0.9 * signed)),
            Self::Contrast => pixels(sample, |value, mean| mean + (value - mean) * (1.0 + 0.9 * signed)),
            Self::Posterize => {
                let levels = (8.0 - 4.0 * strength).round().exp2() - 1.0;
                pixels(sample, |value, _| (value * levels).round() / levels)
            }
            Self::Solarize => {
                pixels(sample, |value, _| if value > 1.0 - strength { 1.0 - value } else { value })
            }
            Self::AutoContrast => autocontrast(sample),
        }
    }
}

const IDENTITY: [[f64; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

/// Every pixel comes from where `matrix`, about the center, and then `shift`, in parts of the sides, send it.
fn affine(sample: Sample, matrix: [[f64; 2]; 2], shift: [f64; 2]) -> Result<Sample> {
    let size = image_size(&sample)?;
    let center = size.map(|side| (side as f64 - 1.0) / 2.0);
    relocate(sample, |at| {
        let offset = [at[0] as f64 - center[0], at[1] as f64 - center[1]];
        let from = |axis: usize| {
            let moved = matrix[axis][0] * offset[0] + matrix[axis][1] * offset[1];
            let place = (moved + center[axis] + shift[axis] * size[axis] as f64).round();
            (0.0..size[axis] as f64).contains(&place).then_some(place as usize)
        };
        Some([from(0)?, from(1)?])
    })
}

/// Changes every value by itself and the mean of its image; the result is cut off at 0 and 1.
fn pixels(sample: Sample, change: impl Fn(f64, f64) -> f64) -> Result<Sample> {
    change_images(sample, |_, values| {
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64;
        for value in values {
            *value = change(f64::from(*value), mean).clamp(0.0, 1.0) as f32;
        }
        Ok(())
    })
}

/// Stretches every channel to [0, 1]; one that has a single value stays.
fn autocontrast(sample: Sample) -> Result<Sample> {
    change_images(sample, |[_, height, width], values| {
        for plane in values.chunks_mut((height * width).max(1)) {
            let (low, high) = plane.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            if high > low {
                plane.iter_mut().for_each(|value| *value = (*value - low) / (high - low));
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use taskweave_kernels::Named;

    use super::*;
    use crate::Label;

    fn changed(change: Change, rows: &[[f32; 3]; 3], strength: f64, sign: f64) -> Vec<Vec<f32>> {
        let image = Tensor::new(rows, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let sample = Sample { inputs: Named::new([("image", image)]).unwrap(), targets: Named::default() };
        change.apply(sample, strength, sign).unwrap().inputs["image"].get(0).unwrap().to_vec2().unwrap()
    }

    const ROWS: [[f32; 3]; 3] = [[0.0, 0.5, 0.0], [0.25, 1.0, 0.0], [0.0, 0.0, 0.75]];

    #[test]
    fn every_change_does_what_it_says() {
        assert_eq!(changed(Change::Identity, &ROWS, 1.0, 1.0), ROWS);
        // Strength 0 changes nothing, but for the stretch, which has no strength.
        for change in CHANGES.into_iter().filter(|c| !matches!(c, Change::AutoContrast | Change::Posterize)) {
            assert_eq!(changed(change, &ROWS, 0.0, 1.0), ROWS, "{change:?}");
        }
        // A fifth of three pixels is 0.6, which is nearest to one pixel.
        let right = changed(Change::TranslateX, &ROWS, 1.0, 1.0);
        assert_eq!(right, [[0.5, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.75, 0.0]]);
        let solar = changed(Change::Solarize, &ROWS, 0.6, 1.0);
        assert_eq!(solar, [[0.0, 0.5, 0.0], [0.25, 0.0, 0.0], [0.0, 0.0, 0.25]]);
        let dark = changed(Change::Brightness, &ROWS, 1.0, -1.0);
        assert!((dark[1][1] - 0.1).abs() < 1e-6 && (dark[0][1] - 0.05).abs() < 1e-6);
        let half = [[0.25f32, 0.5, 0.75]; 3];
        assert_eq!(changed(Change::AutoContrast, &half, 0.0, 1.0), [[0.0, 0.5, 1.0]; 3]);
        let flat = [[0.3f32; 3]; 3];
        assert_eq!(changed(Change::AutoContrast, &flat, 1.0, 1.0), flat);
        assert_eq!(changed(Change::Contrast, &flat, 1.0, -1.0), flat);
        let levels = changed(Change::Posterize, &half, 1.0, 1.0);
        assert!((levels[0][0] - 4.0 / 15.0).abs() < 1e-6, "sixteen levels: {levels:?}");
    }

    #[test]
    fn a_shear_moves_rows_by_their_distance_from_the_middle() {
        let image: Vec<f32> = (0..81).map(|i| if i % 9 == 4 { 1.0 } else { 0.0 }).collect();
        let image = Tensor::from_vec(image, (1, 9, 9), &Device::Cpu).unwrap();
        let sample = Sample { inputs: Named::new([("image", image)]).unwrap(), targets: Named::default() };
        let sheared =
            Change::ShearX.apply(sample, 1.0, 1.0).unwrap().inputs["image"].to_vec3::<f32>().unwrap();
        let column = |row: usize| sheared[0][row].iter().position(|v| *v == 1.0).unwrap();
        // x comes from x + 0.3·(y − 4).
        assert_eq!([column(0), column(4), column(8)], [5, 4, 3]);
    }

    #[test]
    fn maps_move_with_images() {
        let map = Tensor::from_vec((0..49).collect::<Vec<u32>>(), (7, 7), &Device::Cpu).unwrap();
        for change in [Change::Rotate, Change::ShearX, Change::ShearY, Change::TranslateX, Change::TranslateY]
        {
            let image = map.to_dtype(DType::F32).unwrap().unsqueeze(0).unwrap();
            let sample = Sample {
                inputs: Named::new([("image", image)]).unwrap(),
                targets: Named::new([("mask", Label::new(map.clone()))]).unwrap(),
            };
            let moved = change.apply(sample, 1.0, -1.0).unwrap();
            let values =
                moved.targets["mask"].value().to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(moved.inputs["image"].get(0).unwrap().to_vec2::<f32>().unwrap(), values, "{change:?}");
            assert_ne!(values, map.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap(), "{change:?}");
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        assert!(RandAugment::new(0, 0.5).is_err() && RandAugment::new(2, 1.1).is_err());
        assert!(RandAugment::new(2, f64::NAN).is_err());
    }
}
