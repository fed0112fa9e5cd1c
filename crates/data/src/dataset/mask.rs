//! WithMask: adds a two-region mask to a data set of images.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result};

use super::otsu::{luminance, two_regions};
use crate::{Dataset, Label, Labels, Sample, Spec};

/// A data set of images with the additional task `mask`: two regions by Otsu's threshold on the luminance of the
/// input `image`, the region that dominates the border being background (0). An image of one color is background
/// all over.
///
/// # Shapes
/// The mask is u32 `[height, width]`.
///
/// # Example
/// A dark dot on white.
/// ```
/// use taskweave_data::{Dataset, Images, WithMask};
/// let pixels = vec![255, 255, 255, 255, 9, 255, 255, 255, 255];
/// let images = Images::new([1, 3, 3], pixels, vec![0], vec!["dot".into()])?;
/// let mask = WithMask::new(images)?.get(0)?.targets["mask"].value().to_vec2::<u32>()?;
/// assert_eq!(mask, [[0, 0, 0], [0, 1, 0], [0, 0, 0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WithMask<D> {
    dataset: D,
    spec: Spec,
}

impl<D: Dataset> WithMask<D> {
    /// Adds the task `mask` to those of `dataset`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a data set without the input `image`, [`Error::Shape`] for one that is not
    /// `[channels, height, width]`, and [`Error::Name`] where there is a task `mask` already.
    pub fn new(dataset: D) -> Result<Self> {
        let mut spec = dataset.spec().clone();
        let size = spec.inputs.require("input", "image")?;
        if size.len() != 3 || size.contains(&0) {
            return Err(Error::shape("input `image`", "[channels, height, width]", size));
        }
        spec.targets.insert("mask", Labels::two_regions())?;
        Ok(Self { dataset, spec })
    }
}

impl<D: Dataset> Dataset for WithMask<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.dataset.get(index)?;
        let image = sample.inputs.require("input", "image")?;
        let (channels, height, width) = image.dims3()?;
        let light = luminance(&image.flatten_all()?.to_vec1()?, channels);
        let mask = Tensor::from_vec(two_regions(&light, width), (height, width), image.device())?;
        sample.targets.insert("mask", Label::new(mask))?;
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Images, Memory};
    use candle_core::{DType, Device};
    use taskweave_kernels::Named;

    #[test]
    fn it_needs_an_image_and_room_for_the_mask() {
        let images = Images::new([1, 1, 2], vec![0, 9], vec![0], vec!["any".into()]).unwrap();
        let twice = WithMask::new(WithMask::new(images).unwrap());
        assert!(matches!(twice, Err(Error::Name { name }) if name == "mask"));
        let memory = |name, shape: &[usize]| {
            let tensor = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            Memory::new(Named::new([(name, tensor)]).unwrap(), Named::default()).unwrap()
        };
        assert!(matches!(WithMask::new(memory("x", &[1, 1, 2, 2])), Err(Error::Unknown { .. })));
        assert!(matches!(WithMask::new(memory("image", &[1, 2])), Err(Error::Shape { .. })));
    }
}
