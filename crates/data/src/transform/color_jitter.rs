//! ColorJitter: random brightness, contrast and saturation.
//!
//! With factors b, c, s drawn uniformly from 1 ± the parameter, one after the other:
//!
//! ```text
//! brightness   x ← b x
//! contrast     x ← m + c (x − m)      m = mean luminance of the image
//! saturation   x ← l + s (x − l)      l = luminance of the pixel; color images only
//! ```
//!
//! and at the end x is limited to [0, 1], so it belongs before [`crate::Normalize`].
//! Variants: torchvision draws the order of the three as well and limits x after each of them.

use taskweave_kernels::{Result, Rng};

use super::image::{change_images, check_fraction};
use crate::dataset::luminance;
use crate::{Sample, Transform};

/// Random brightness, contrast and saturation of every image, the same for all images of a sample.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `brightness` | – | \[0, 1\] | factor in 1 ± brightness |
/// | `contrast` | – | \[0, 1\] | factor in 1 ± contrast, about the mean luminance |
/// | `saturation` | – | \[0, 1\] | factor in 1 ± saturation, about the luminance of the pixel |
///
/// # Example
/// Contrast does nothing to an image of one color, and here nothing else may change.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{ColorJitter, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[0.5f32, 0.5]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let jittered = ColorJitter::new(0.0, 0.9, 0.9)?.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(jittered.inputs["image"].to_vec3::<f32>()?, [[[0.5, 0.5]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ColorJitter {
    brightness: f64,
    contrast: f64,
    saturation: f64,
}

impl ColorJitter {
    /// The three ranges.
    ///
    /// # Errors
    /// [`taskweave_kernels::Error::Parameter`] for one outside \[0, 1\].
    pub fn new(brightness: f64, contrast: f64, saturation: f64) -> Result<Self> {
        check_fraction("brightness of color jitter", brightness)?;
        check_fraction("contrast of color jitter", contrast)?;
        check_fraction("saturation of color jitter", saturation)?;
        Ok(Self { brightness, contrast, saturation })
    }
}

impl Transform for ColorJitter {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        let factors = [self.brightness, self.contrast, self.saturation]
            .map(|range| rng.range(1.0 - range, 1.0 + range) as f32);
        change_images(sample, |[channels, ..], values| {
            jitter(values, channels, factors);
            Ok(())
        })
    }
}

fn jitter(values: &mut [f32], channels: usize, [brightness, contrast, saturation]: [f32; 3]) {
    values.iter_mut().for_each(|value| *value *= brightness);
    let light = luminance(values, channels);
    let mean = light.iter().sum::<f32>() / light.len().max(1) as f32;
    values.iter_mut().for_each(|value| *value = mean + contrast * (*value - mean));
    if channels == 3 {
        let light = luminance(values, channels);
        for plane in values.chunks_mut(light.len().max(1)) {
            for (value, light) in plane.iter_mut().zip(&light) {
                *value = light + saturation * (*value - light);
            }
        }
    }
    values.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_factor_does_its_part() {
        let mut gray = [0.25, 0.75];
        jitter(&mut gray, 1, [0.5, 1.0, 1.0]);
        assert_eq!(gray, [0.125, 0.375]);
        let mut gray = [0.25, 0.75];
        jitter(&mut gray, 1, [1.0, 0.5, 1.0]);
        assert_eq!(gray, [0.375, 0.625]);
        let mut gray = [0.25, 0.75];
        jitter(&mut gray, 1, [2.0, 1.0, 1.0]);
        assert_eq!(gray, [0.5, 1.0]);
        let mut red = [1.0, 0.0, 0.0];
        jitter(&mut red, 3, [1.0, 1.0, 0.0]);
        assert!(red.iter().all(|value| (value - 0.299).abs() < 1e-6), "{red:?}");
    }
}
