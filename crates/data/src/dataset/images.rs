//! Labeled images of one size, in memory as bytes.

use candle_core::{Device, Tensor};
use taskweave_kernels::{Error, Named, Result};

use super::check_index;
use crate::{Dataset, Label, Sample, Spec};

/// Labeled images of one size, in memory as bytes. A sample has the input `image` and the task `class`.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Images};
/// let pixels = vec![0, 51, 255, 0]; // two images of 1 × 1 × 2
/// let images = Images::new([1, 1, 2], pixels, vec![0, 1], vec!["cat".into(), "dog".into()])?;
/// let sample = images.get(0)?;
/// assert_eq!(sample.inputs["image"].flatten_all()?.to_vec1::<f32>()?, [0.0, 0.2]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Images {
    spec: Spec,
    size: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Images {
    /// Images of `size` = `[channels, height, width]`, all pixels in that order one image after the other.
    ///
    /// # Errors
    /// [`Error::Parameter`] where a size is 0, where the number of pixels is not that of `labels.len()` images,
    /// or for a label that has no name in `classes`.
    pub fn new(size: [usize; 3], pixels: Vec<u8>, labels: Vec<u32>, classes: Vec<String>) -> Result<Self> {
        if size.contains(&0) {
            return Err(Error::parameter("size of the images", "numbers > 0", format!("{size:?}")));
        }
        let expected = size.iter().try_fold(labels.len(), |total, &side| total.checked_mul(side));
        if expected != Some(pixels.len()) {
            let expected = format!("{} images of {size:?}", labels.len());
            return Err(Error::parameter("pixels", expected, format!("{} bytes", pixels.len())));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes.len()) {
            return Err(Error::parameter("label", format!("a number below {}", classes.len()), label));
        }
        Ok(Self { spec: Spec::of_images(size, classes)?, size, pixels, labels })
    }
}

impl Dataset for Images {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len())?;
        let count: usize = self.size.iter().product();
        let bytes = &self.pixels[index * count..][..count];
        let values: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let image = Tensor::from_vec(values, &self.size, &Device::Cpu)?;
        Ok(Sample {
            inputs: Named::new([("image", image)])?,
            targets: Named::new([("class", Label::class(self.labels[index])?)])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| i.to_string()).collect()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Images::new([1, 2, 2], vec![0; 7], vec![0, 0], names(1)).is_err());
        assert!(Images::new([1, 0, 2], vec![], vec![], names(1)).is_err());
        assert!(Images::new([1, 1, 1], vec![0; 2], vec![0, 2], names(2)).is_err());
        assert!(Images::new([usize::MAX, 2, 2], vec![0; 2], vec![0, 0], names(2)).is_err());
        assert!(Images::new([1, 1, 1], vec![0], vec![0], names(1)).unwrap().get(1).is_err());
    }
}
