//! Shift: moves images and maps by whole pixels.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Result, Rng};

use super::image::image_size;
use super::relocate::relocate;
use crate::{Sample, Transform};

/// Moves images and maps by up to `pixels` rows and columns, either way, every distance equally likely.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `pixels` | – | ≥ 0 | the farthest move |
/// | `padding` | – | | what fills the gap, in images and maps alike |
///
/// # Example
/// One pixel at most, edges repeated: a row 1 2 3 becomes one of three.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Padding, Sample, Shift, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let image = Tensor::new(&[[[1f32, 2.0, 3.0]]], &Device::Cpu)?;
/// let sample = Sample { inputs: Named::new([("image", image)])?, targets: Named::default() };
/// let shifted = Shift::new(1, Padding::Edge).apply(sample, &mut Rng::new(0))?;
/// let row = shifted.inputs["image"].flatten_all()?.to_vec1::<f32>()?;
/// assert!([[1.0, 2.0, 3.0], [1.0, 1.0, 2.0], [2.0, 3.0, 3.0]].iter().any(|r| row == r));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Shift {
    pixels: usize,
    padding: Padding,
}

/// What fills the pixels that a shift leaves empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// 0: black, and class 0 of a map.
    Zero,
    /// The nearest pixel of the edge.
    Edge,
}

impl Shift {
    /// Moves by up to `pixels` rows and columns.
    pub fn new(pixels: usize, padding: Padding) -> Self {
        Self { pixels, padding }
    }

    /// Where the pixel at `to` comes from on an axis of length `size`.
    fn source(&self, to: usize, by: isize, size: usize) -> Option<usize> {
        let from = to.checked_add_signed(-by).filter(|&from| from < size);
        match self.padding {
            Padding::Zero => from,
            Padding::Edge => from.or(Some(if by > 0 { 0 } else { size - 1 })),
        }
    }
}

impl Transform for Shift {
    fn apply(&self, sample: Sample, rng: &mut Rng) -> Result<Sample> {
        let [height, width] = image_size(&sample)?;
        let mut draw = |size: usize| {
            // Farther than the image is wide makes no difference.
            let most = self.pixels.min(size);
            rng.below(2 * most + 1) as isize - most as isize
        };
        let (down, right) = (draw(height), draw(width));
        relocate(sample, |[y, x]| Some([self.source(y, down, height)?, self.source(x, right, width)?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_pixel_is_where_it_was_before_the_move() {
        let edge = Shift::new(9, Padding::Edge);
        let zero = Shift::new(9, Padding::Zero);
        let row = |shift: &Shift, by| (0..4).map(|to| shift.source(to, by, 4)).collect::<Vec<_>>();
        assert_eq!(row(&edge, 1), [Some(0), Some(0), Some(1), Some(2)]);
        assert_eq!(row(&edge, -2), [Some(2), Some(3), Some(3), Some(3)]);
        assert_eq!(row(&zero, 1), [None, Some(0), Some(1), Some(2)]);
        assert_eq!(row(&zero, 4), [None; 4]);
    }
}
