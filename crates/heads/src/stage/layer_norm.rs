//! Layer normalization of the last dimension.
//!
//! Reference: Ba, Kiros, Hinton, "Layer Normalization", 2016, <https://arxiv.org/abs/1607.06450>.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::{Error, Result, ops};

use super::Stage;
use crate::Mode;

const EPS: f64 = 1e-5;

/// γ (x − μ) / √(σ² + 1e-5) + β over the last dimension.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{LayerNorm, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
/// let layer = LayerNorm::new(&params.shared().pp("norm"), 2)?;
/// let y = layer.forward(&Tensor::new(&[[1f64, 3.0]], &Device::Cpu)?, Mode::Eval)?;
/// assert!((y.to_vec2::<f64>()?[0][1] - 1.0).abs() < 1e-4);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// A layer for rows of `width` values.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a width of 0, and a name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, width: usize) -> Result<Self> {
        if width == 0 {
            return Err(Error::parameter("width of a layer normalization", "at least 1", width));
        }
        let get = |name: &str, value: f64| vb.get_with_hints(width, name, Init::Const(value));
        Ok(Self { weight: get("weight", 1.0)?, bias: get("bias", 0.0)? })
    }
}

impl Stage for LayerNorm {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::layer_norm(x, [Some(&self.weight), Some(&self.bias)], EPS)
    }
}
