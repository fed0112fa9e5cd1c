//! Normalize: shifts and scales every channel of every image.

use taskweave_kernels::{Error, Result, Rng};

use super::image::change_images;
use crate::{Sample, Transform};

/// x ← (x − mean) / std, per channel. It draws nothing, so it serves evaluation as well.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `mean` | – | finite, one per channel | subtracted first |
/// | `std` | – | finite, > 0, one per channel | divided by then |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Normalize, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[1f32, 0.5]], [[0.25, 0.0]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let normal = Normalize::new(vec![0.5, 0.0], vec![0.5, 0.25])?.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(normal.inputs["image"].to_vec3::<f32>()?, [[[1.0, 0.0]], [[1.0, 0.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalize {
    /// Mean and standard deviation per channel.
    ///
    /// # Errors
    /// [`Error::Parameter`] for empty lists, lists of different lengths, and numbers out of range.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self> {
        if mean.is_empty() || mean.len() != std.len() {
            let found = format!("{} and {}", mean.len(), std.len());
            return Err(Error::parameter("mean and std of normalize", "one number each per channel", found));
        }
        if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::parameter("mean of normalize", "finite numbers", mean));
        }
        if let Some(std) = std.iter().find(|&&std| !(std.is_finite() && std > 0.0)) {
            return Err(Error::parameter("std of normalize", "finite numbers > 0", std));
        }
        Ok(Self { mean, std })
    }
}

impl Transform for Normalize {
    fn apply(&self, sample: Sample, _: &mut Rng) -> Result<Sample> {
        change_images(sample, |size @ [channels, height, width], values| {
            if channels != self.mean.len() {
                let expected = format!("[{}, height, width]", self.mean.len());
                return Err(Error::shape("image to normalize", expected, &size));
            }
            let planes = values.chunks_mut((height * width).max(1));
            for (plane, (mean, std)) in planes.zip(self.mean.iter().zip(&self.std)) {
                plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
            }
            Ok(())
        })
    }
}
