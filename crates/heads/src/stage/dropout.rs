//! Dropout while training.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result, ops};

use super::Stage;
use crate::Mode;

/// Drops values with probability `p` while training.
///
/// The mask comes from the fork of the step's stream by the layer's own name.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Dropout, Mode, Stage};
/// let x = Tensor::ones(9, DType::F32, &Device::Cpu)?;
/// assert_eq!(Dropout::new("drop", 0.5)?.forward(&x, Mode::Eval)?.to_vec1::<f32>()?, [1.0; 9]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Dropout {
    name: String,
    p: f64,
}

impl Dropout {
    /// A layer whose name no other layer of the model has.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `p` outside `[0, 1)`.
    pub fn new(name: &str, p: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&p) {
            return Err(Error::parameter("dropout probability", "0 ≤ p < 1", p));
        }
        Ok(Self { name: name.into(), p })
    }
}

impl Stage for Dropout {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        match mode {
            Mode::Train(step) => ops::dropout(x, self.p, &mut step.fork(&self.name)),
            Mode::Eval => Ok(x.clone()),
        }
    }
}
