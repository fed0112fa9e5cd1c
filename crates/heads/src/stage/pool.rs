//! Halving the size of an image.

use candle_core::Tensor;
use taskweave_kernels::{Result, ops};

use super::Stage;
use crate::Mode;

/// The largest value of each 2 × 2 window.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_heads::{MaxPool, Mode, Stage};
/// let x = Tensor::new(&[[[[1f32, 2.0], [4.0, 3.0]]]], &Device::Cpu)?;
/// assert_eq!(MaxPool.forward(&x, Mode::Eval)?.flatten_all()?.to_vec1::<f32>()?, [4.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MaxPool;

impl Stage for MaxPool {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::max_pool2d(x, 2, 2)
    }
}
