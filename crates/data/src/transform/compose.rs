//! Compose: several transforms, one after the other.

use taskweave_kernels::{Result, Rng};

use crate::{Sample, Transform};

/// Several transforms, one after the other, drawing from one stream in that order.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Compose, Flip, Normalize, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[0f32, 1.0]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let both = Compose::new(vec![
///     Box::new(Flip::new(1.0)?),
///     Box::new(Normalize::new(vec![0.5], vec![0.5])?),
/// ]);
/// let sample = both.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(sample.inputs["image"].to_vec3::<f32>()?, [[[1.0, -1.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Default)]
pub struct Compose {
    parts: Vec<Box<dyn Transform>>,
}

impl Compose {
    /// The transforms in order; none of them leaves the sample as it is.
    pub fn new(parts: Vec<Box<dyn Transform>>) -> Self {
        Self { parts }
    }
}

impl Transform for Compose {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        self.parts.iter().try_fold(sample, |sample, part| part.apply(sample, rng))
    }
}
