//! Real values per sample.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use taskweave_kernels::{Error, Result};

use super::readout::Readout;
use crate::{Features, Mode, Stage};

/// Values `[batch, outputs]`. A map is averaged over height and width first.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Features, Mode, Params, Regression, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let head = Regression::new(&params.task("age"), Features::Vector { width: 4 }, 1)?;
/// let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?;
/// assert_eq!(head.forward(&x, Mode::Eval)?.dims(), [2, 1]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Regression(Readout);

impl Regression {
    /// A head for so many values.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn new(vb: &VarBuilder<'_>, features: Features, outputs: usize) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::parameter("outputs", "at least 1", outputs));
        }
        Ok(Self(Readout::new(vb, features, outputs)?))
    }
}

impl Stage for Regression {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.0.forward(x, mode)
    }
}
