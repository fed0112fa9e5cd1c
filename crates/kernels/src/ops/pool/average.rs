//! The mean of each window.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::super::resize::dims4;
use super::super::separable::{Axis, Separable, Taps};
use super::window::{Pool2d, Spans};
use crate::Result;

/// What the mean of a window that reaches beyond the image is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// All of the window, with zeros beyond the image.
    #[default]
    Zeros,
    /// What lies within the image.
    Inside,
}

/// The mean of each window.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, h', w']`, `h' = (h + 2·padding − kernel)/stride + 1`.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a kernel or stride of 0 or a padding above half the kernel,
/// [`Error::Shape`](crate::Error::Shape) for an image smaller than the window.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Border, Pool2d, avg_pool2d};
/// let x = Tensor::new(&[[[[2f32, 4.0], [6.0, 8.0]]]], &Device::Cpu)?;
/// let corners = Pool2d { kernel: 2, stride: 2, padding: 1 };
/// let y = avg_pool2d(&x, corners, Border::Zeros)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0.5, 1.0, 1.5, 2.0]);
/// let y = avg_pool2d(&x, corners, Border::Inside)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn avg_pool2d(x: &Tensor, windows: Pool2d, border: Border) -> Result<Tensor> {
    let [_, _, h, w] = dims4(x, "input of avg_pool2d")?;
    let spans = windows.spans("avg_pool2d", [h, w])?;
    let over = match border {
        Border::Zeros => Some(windows.kernel),
        Border::Inside => None,
    };
    Separable { name: "avg_pool2d", axes: spans.map(|side| mean_of(&side, over)) }.of(x)
}

/// The mean of each of `h' × w'` windows that cover the image evenly.
///
/// Window i of a side with n places goes from ⌊i·n/n'⌋ to ⌈(i + 1)·n/n'⌉, so that windows may overlap.
///
/// # Shapes
/// `[batch, channels, h, w]` → `[batch, channels, h', w']`.
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a size of 0, [`Error::Shape`](crate::Error::Shape) for an
/// `x` that is no image.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[[1f32, 5.0, 3.0]]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::adaptive_avg_pool2d(&x, [1, 2])?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [3.0, 4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn adaptive_avg_pool2d(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let [_, _, h, w] = dims4(x, "input of adaptive_avg_pool2d")?;
    let spans = Spans::adaptive("adaptive_avg_pool2d", [h, w], size)?;
    Separable { name: "adaptive_avg_pool2d", axes: spans.map(|side| mean_of(&side, None)) }.of(x)
}

/// Equal weights in each range: one over `over`, or over the length of the range.
fn mean_of(side: &Spans, over: Option<usize>) -> Axis {
    let taps = side.ranges.iter().map(|range| Taps {
        start: range.start,
        weights: vec![1.0 / over.unwrap_or(range.len()) as f64; range.len()],
    });
    Axis { size: side.size, taps: taps.collect() }
}
