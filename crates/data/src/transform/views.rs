//! Views: several augmented copies of one input, each under a name of its own.

use taskweave_kernels::{Error, Named, Result, Rng};

use crate::{Sample, Transform};

/// Puts several copies of one input in its place, each changed by a transform of its own: a weak and a strong view.
///
/// A copy draws from the fork of the sample's stream by its own name, so that another copy more changes none of
/// the others. The transforms see the copy alone, under the name of the original, and no label.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Compose, Flip, Sample, Transform, Views};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[1f32, 2.0]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let plain: Box<dyn Transform> = Box::new(Compose::default());
/// let mirrored: Box<dyn Transform> = Box::new(Flip::new(1.0)?);
/// let views = Views::new("image", Named::new([("weak", plain), ("strong", mirrored)])?)?;
/// let sample = views.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(sample.inputs.names().collect::<Vec<_>>(), ["weak", "strong"]);
/// assert_eq!(sample.inputs["weak"].to_vec3::<f32>()?, [[[1.0, 2.0]]]);
/// assert_eq!(sample.inputs["strong"].to_vec3::<f32>()?, [[[2.0, 1.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Views {
    of: String,
    views: Named<Box<dyn Transform>>,
}

impl Views {
    /// Copies of the input called `of`, by the name of each.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no copies.
    pub fn new(of: &str, views: Named<Box<dyn Transform>>) -> Result<Self> {
        if views.is_empty() {
            return Err(Error::parameter("views", "at least one", 0));
        }
        Ok(Self { of: of.into(), views })
    }
}

impl Transform for Views {
    fn apply(&self, mut sample: Sample, rng: &mut Rng) -> Result<Sample> {
        let input = sample.inputs.require("input", &self.of)?.clone();
        sample.inputs.remove(&self.of);
        for (name, transform) in self.views.iter() {
            let alone =
                Sample { inputs: Named::new([(&*self.of, input.clone())])?, targets: Named::default() };
            let mut copy = transform.apply(alone, &mut rng.fork(name))?;
            let copy = copy.inputs.remove(&self.of);
            let copy = copy.ok_or_else(|| Error::parameter(format!("view `{name}`"), "an input", "none"))?;
            sample.inputs.insert(name, copy)?;
        }
        Ok(sample)
    }
}
