//! One class per sample.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use taskweave_kernels::{Error, Result};

use super::readout::Readout;
use crate::{Features, Mode, Stage};

/// Logits `[batch, classes]`. A map is averaged over height and width first.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Classification, Features, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let head = Classification::new(&params.task("class"), Features::Map { channels: 4, stride: 2 }, 10)?;
/// let x = Tensor::zeros((2, 4, 5, 5), DType::F32, &Device::Cpu)?;
/// assert_eq!(head.forward(&x, Mode::Eval)?.dims(), [2, 10]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Classification(Readout);

impl Classification {
    /// A head for so many classes.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two classes.
    pub fn new(vb: &VarBuilder<'_>, features: Features, classes: usize) -> Result<Self> {
        if classes < 2 {
            return Err(Error::parameter("classes", "at least 2", classes));
        }
        Ok(Self(Readout::new(vb, features, classes)?))
    }
}

impl Stage for Classification {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.0.forward(x, mode)
    }
}
