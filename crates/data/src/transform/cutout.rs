//! Cutout: blanks a square of every image.
//!
//! The center is uniform over the pixels and the square is cut off at the border, so that its visible part
//! varies. Maps stay as they are: the network has to say what is behind the square.
//! Variants: the paper pads by 0 after normalization, which is the mean color; put it after
//! [`crate::Normalize`] for that.
//! Reference: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
//! 2017, <https://arxiv.org/abs/1708.04552>

use taskweave_kernels::{Error, Result, Rng};

use super::image::{change_images, image_size};
use crate::{Sample, Transform};

/// Sets a square of every image to 0; maps stay as they are.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `size` | – | ≥ 1 | side of the square in pixels |
///
/// # Example
/// A square of 3 around any pixel of a 2 × 2 image covers it all.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_data::{Cutout, Sample, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::ones((1, 2, 2), DType::F32, &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let cut = Cutout::new(3)?.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(cut.inputs["image"].sum_all()?.to_scalar::<f32>()?, 0.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cutout {
    size: usize,
}

impl Cutout {
    /// A square with sides of `size` pixels.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size of 0.
    pub fn new(size: usize) -> Result<Self> {
        if size == 0 {
            return Err(Error::parameter("size of cutout", "a number ≥ 1", size));
        }
        Ok(Self { size })
    }
}

impl Transform for Cutout {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        let [height, width] = image_size(&sample)?;
        let mut span = |side: usize| {
            let center = rng.below(side);
            let start = center.saturating_sub(self.size / 2);
            start..(center + self.size.div_ceil(2)).min(side)
        };
        let (rows, columns) = (span(height), span(width));
        change_images(sample, |[_, _, width], values| {
            for (y, row) in values.chunks_mut(width).enumerate() {
                if rows.contains(&(y % height)) {
                    row[columns.clone()].fill(0.0);
                }
            }
            Ok(())
        })
    }
}
