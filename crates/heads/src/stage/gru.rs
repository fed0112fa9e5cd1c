//! Gated recurrent unit.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::ops::{self, RecurrentWeights};
use taskweave_kernels::{Error, Result};

use super::Stage;
use crate::Mode;

/// The states of a gated recurrent unit over a sequence, from `[batch, time, in]` to `[batch, time, hidden]`, in
/// PyTorch's form; all parameters initially uniform in ±1/√hidden.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Gru, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let layer = Gru::new(&params.shared().pp("gru"), 4, 8)?;
/// let x = Tensor::zeros((2, 5, 4), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x, Mode::Eval)?.dims(), [2, 5, 8]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Gru {
    input: Tensor,
    hidden: Tensor,
    bias_input: Tensor,
    bias_hidden: Tensor,
}

impl Gru {
    /// A unit from `width` values per step to `hidden` states.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a width of 0, and a name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, width: usize, hidden: usize) -> Result<Self> {
        if width == 0 || hidden == 0 {
            return Err(Error::parameter("width of a GRU", "at least 1", format!("{width} → {hidden}")));
        }
        let bound = 1.0 / (hidden as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Ok(Self {
            input: vb.get_with_hints((3 * hidden, width), "input.weight", init)?,
            hidden: vb.get_with_hints((3 * hidden, hidden), "hidden.weight", init)?,
            bias_input: vb.get_with_hints(3 * hidden, "input.bias", init)?,
            bias_hidden: vb.get_with_hints(3 * hidden, "hidden.bias", init)?,
        })
    }
}

impl Stage for Gru {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        let weights = RecurrentWeights {
            input: &self.input,
            hidden: &self.hidden,
            bias_input: &self.bias_input,
            bias_hidden: &self.bias_hidden,
        };
        ops::gru(x, weights, None, None)
    }
}
