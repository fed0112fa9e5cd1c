//! Noise: adds Gaussian noise to every value of every image.

use taskweave_kernels::{Error, Result, Rng};

use super::image::change_images;
use crate::{Sample, Transform};

/// Adds to every value of every image an independent normal number; the sum is not cut off at 0 or 1.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `std` | – | finite, ≥ 0 | standard deviation |
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_data::{Noise, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::zeros((1, 1, 1), DType::F32, &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let noisy = Noise::new(0.5)?.apply(sample, &mut Rng::new(3))?;
/// let expected = (0.5 * Rng::new(3).normal()) as f32;
/// assert_eq!(noisy.inputs["image"].sum_all()?.to_scalar::<f32>()?, expected);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Noise {
    std: f64,
}

impl Noise {
    /// Noise of standard deviation `std`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `std` that is negative or not finite.
    pub fn new(std: f64) -> Result<Self> {
        if !(std.is_finite() && std >= 0.0) {
            return Err(Error::parameter("std of noise", "a finite number ≥ 0", std));
        }
        Ok(Self { std })
    }
}

impl Transform for Noise {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        change_images(sample, |_, values| {
            for value in values {
                *value += (self.std * rng.normal()) as f32;
            }
            Ok(())
        })
    }
}
