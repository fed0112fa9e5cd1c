//! Affine map of the last dimension, with an activation if one follows.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::ops::{self, Activation};
use taskweave_kernels::{Error, Result};

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
    activation: Activation,
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
        let bias = vb.get_with_hints(out, "bias", init)?;
        Ok(Self { weight, bias, activation: Activation::Identity })
    }

    /// The same layer with an activation at its end, computed in one go.
    ///
    /// # Example
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use taskweave_heads::{Linear, Mode, Params, Stage};
    /// use taskweave_kernels::{Rng, ops::Activation};
    /// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
    /// let layer = Linear::new(&params.shared().pp("layer"), 3, 2)?.then(Activation::Relu);
    /// let y = layer.forward(&Tensor::ones((5, 3), DType::F32, &Device::Cpu)?, Mode::Eval)?;
    /// assert!(y.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| *v >= 0.0));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    #[must_use]
    pub fn then(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
}

impl Stage for Linear {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::linear_then(x, [Some(&self.weight), Some(&self.bias)], self.activation)
    }
}
