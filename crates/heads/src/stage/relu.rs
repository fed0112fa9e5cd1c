//! Rectified linear unit.

use candle_core::Tensor;
use taskweave_kernels::{Result, ops};

use super::Stage;
use crate::Mode;

/// `max(x, 0)`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_heads::{Mode, Relu, Stage};
/// let x = Tensor::new(&[-1f32, 2.0], &Device::Cpu)?;
/// assert_eq!(Relu.forward(&x, Mode::Eval)?.to_vec1::<f32>()?, [0.0, 2.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Relu;

impl Stage for Relu {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::relu(x)
    }
}
