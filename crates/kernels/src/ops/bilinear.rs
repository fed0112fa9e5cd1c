//! Up-sampling between pixels.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::conv2d::FARTHEST;
use super::resize::dims4;
use super::separable::{Axis, Separable, Taps};
use crate::{Error, Result};

/// What stays in place when an image changes its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corners {
    /// The centers of the corner pixels: place i shows `i · (n − 1) / (n' − 1)`.
    Aligned,
    /// The edges of the image: place i shows `(i + ½) · n / n' − ½`, and the first pixel what is before it.
    #[default]
    Centers,
}

/// Draws an image at another size; each pixel is a mean of up to four, weighted by their nearness.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, h', w']`.
///
/// # Errors
/// [`Error::Parameter`] for a size of 0, [`Error::Shape`] for an `x` that is no image.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Corners, upsample_bilinear2d};
/// let x = Tensor::new(&[[[[0f32, 4.0]]]], &Device::Cpu)?;
/// let y = upsample_bilinear2d(&x, [1, 4], Corners::Centers)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
/// let y = upsample_bilinear2d(&x, [1, 3], Corners::Aligned)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0.0, 2.0, 4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn upsample_bilinear2d(x: &Tensor, size: [usize; 2], corners: Corners) -> Result<Tensor> {
    let [_, _, h, w] = dims4(x, "input of upsample_bilinear2d")?;
    if size.iter().any(|size| !(1..=FARTHEST).contains(size)) {
        let expected = format!("1 to {FARTHEST}");
        return Err(Error::parameter("size of upsample_bilinear2d", expected, format!("{size:?}")));
    }
    if h * w == 0 {
        return Err(Error::shape("input of upsample_bilinear2d", "[batch, channels, ≥ 1, ≥ 1]", x.dims()));
    }
    let axes = [corners.axis(h, size[0]), corners.axis(w, size[1])];
    Separable { name: "upsample_bilinear2d", axes }.of(x)
}

impl Corners {
    fn axis(self, size: usize, count: usize) -> Axis {
        let taps = (0..count).map(|i| {
            let place = self.place(i, [size, count]);
            let start = (place as usize).min(size - 1);
            let beyond = place - start as f64;
            match start + 1 < size {
                true => Taps { start, weights: vec![1.0 - beyond, beyond] },
                false => Taps { start, weights: vec![1.0] },
            }
        });
        Axis { size, taps: taps.collect() }
    }

    /// Where in the image place `i` looks.
    fn place(self, i: usize, [size, count]: [usize; 2]) -> f64 {
        let i = i as f64;
        match self {
            Self::Aligned => i * (size - 1) as f64 / (count.max(2) - 1) as f64,
            Self::Centers => ((i + 0.5) * size as f64 / count as f64 - 0.5).max(0.0),
        }
    }
}
