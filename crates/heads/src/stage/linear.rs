//! Affine map of the last dimension.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::{Error, Result, ops};

use super::Stage;
use crate::Mode;

/// `x Wᵀ + b`; both initially uniform in ±1/√in.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Linear, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let layer = Linear::new(&params.shared().pp("layer"), 3, 2)?;
/// let x = Tensor::zeros((5, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x, Mode::Eval)?.dims(), [5, 2]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer from `width` to `out` values.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a width of 0, and a name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, width: usize, out: usize) -> Result<Self> {
        if width == 0 || out == 0 {
            return Err(Error::parameter(
                "width of a linear layer",
                "at least 1",
                format!("{width} → {out}"),
            ));
        }
        let bound = 1.0 / (width as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let weight = vb.get_with_hints((out, width), "weight", init)?;
        Ok(Self { weight, bias: vb.get_with_hints(out, "bias", init)? })
    }
}

impl Stage for Linear {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::linear(x, &self.weight, Some(&self.bias))
    }
}
