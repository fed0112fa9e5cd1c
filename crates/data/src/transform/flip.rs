//! Flip: mirrors images and maps left to right.

use taskweave_kernels::{Result, Rng};

use super::image::{check_fraction, image_size};
use super::relocate::relocate;
use crate::{Sample, Transform};

/// Mirrors images and maps left to right with probability `p`.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `p` | – | \[0, 1\] | probability |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Flip, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[1f32, 2.0, 3.0]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let flipped = Flip::new(1.0)?.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(flipped.inputs["image"].to_vec3::<f32>()?, [[[3.0, 2.0, 1.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Flip {
    p: f64,
}

impl Flip {
    /// Mirrors with probability `p`.
    ///
    /// # Errors
    /// [`taskweave_kernels::Error::Parameter`] for a `p` outside \[0, 1\].
    pub fn new(p: f64) -> Result<Self> {
        check_fraction("p of flip", p)?;
        Ok(Self { p })
    }
}

impl Transform for Flip {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        let [_, width] = image_size(&sample)?;
        match rng.chance(self.p) {
            true => relocate(sample, |[y, x]| Some([y, width - 1 - x])),
            false => Ok(sample),
        }
    }
}
