//! Batch normalization with running statistics.
//!
//! Training normalizes by the batch and moves the running statistics a tenth of the way towards it (the
//! variance unbiased, as PyTorch does); evaluation normalizes by the running statistics.
//! Reference: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};
use taskweave_kernels::ops::{self, Activation, ChannelStats, Statistics};
use taskweave_kernels::{Error, Result};

use super::Stage;
use crate::Mode;

const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// How a backbone normalizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// Not at all.
    None,
    /// By [`BatchNorm`].
    #[default]
    Batch,
}

/// Normalizes each channel of `[batch, channels, ..]`.
///
/// A batch whose statistics are not finite is refused with the name of the layer, before a running one has seen it.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{BatchNorm, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
/// let layer = BatchNorm::new(&params.shared().pp("norm"), 1)?;
/// let x = Tensor::new(&[[0f64], [4.0]], &Device::Cpu)?;
/// layer.forward(&x, Mode::Train(&Rng::new(0)))?;
/// // The batch has mean 2 and unbiased variance 8; a tenth of each has arrived.
/// let named = params.named();
/// assert!((named["shared.norm.running_mean"].var.to_vec1::<f64>()?[0] - 0.2).abs() < 1e-12);
/// assert!((named["shared.norm.running_var"].var.to_vec1::<f64>()?[0] - 1.7).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct BatchNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    mean: Var,
    var: Var,
    activation: Activation,
}

impl BatchNorm {
    /// A layer for so many channels.
    ///
    /// # Errors
    /// A name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, channels: usize) -> Result<Self> {
        let get = |name: &str, value: f64| vb.get_with_hints(channels, name, Init::Const(value));
        Ok(Self {
            name: vb.prefix(),
            weight: get("weight", 1.0)?,
            bias: get("bias", 0.0)?,
            // A variable made from a variable is the same variable.
            mean: Var::from_tensor(&get("running_mean", 0.0)?)?,
            var: Var::from_tensor(&get("running_var", 1.0)?)?,
            activation: Activation::Identity,
        })
    }

    /// The same layer with an activation at its end, computed in one go.
    ///
    /// # Example
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use taskweave_heads::{BatchNorm, Mode, Params, Stage};
    /// use taskweave_kernels::{Rng, ops::Activation};
    /// let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    /// let layer = BatchNorm::new(&params.shared().pp("norm"), 1)?.then(Activation::Relu);
    /// let y = layer.forward(&Tensor::new(&[[0f64], [4.0]], &Device::Cpu)?, Mode::Train(&Rng::new(0)))?;
    /// assert_eq!(y.to_vec2::<f64>()?[0][0], 0.0);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    #[must_use]
    pub fn then(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    fn observe(&self, stats: &ChannelStats, n: usize) -> Result<()> {
        let unbiased = (&stats.var * (n as f64 / (n - 1) as f64))?;
        let moved =
            |running: &Var, batch: &Tensor| (running.as_tensor() * (1.0 - MOMENTUM))? + (batch * MOMENTUM)?;
        let (mean, var) = (moved(&self.mean, &stats.mean)?, moved(&self.var, &unbiased)?);
        if !(ops::all_finite(&mean)? && ops::all_finite(&var)?) {
            return Err(Error::non_finite("statistics of the batch", &self.name));
        }
        self.mean.set(&mean)?;
        Ok(self.var.set(&var)?)
    }
}

impl Stage for BatchNorm {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let parameters = [&self.weight, &self.bias];
        let config = ops::BatchNorm { eps: EPS, activation: self.activation };
        if mode.is_train() {
            let stats = ops::channel_stats(x)?;
            let y = ops::batch_norm_then(x, parameters, Statistics::Batch(&stats), config)?;
            self.observe(&stats, x.elem_count() / stats.mean.elem_count())?;
            return Ok(y);
        }
        let running = ChannelStats { mean: self.mean.detach(), var: self.var.detach() };
        ops::batch_norm_then(x, parameters, Statistics::Fixed(&running), config)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use taskweave_kernels::Rng;

    use super::*;
    use crate::Params;

    #[test]
    fn numbers_that_are_not_finite_are_refused_and_leave_the_running_statistics() {
        let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
        let layer = BatchNorm::new(&params.shared().pp("norm"), 2).unwrap();
        let running = || {
            let named = params.named();
            ["mean", "var"].map(|part| {
                named[format!("shared.norm.running_{part}").as_str()].var.to_vec1::<f32>().unwrap()
            })
        };
        // The second is too large for its square.
        for odd in [f32::NAN, 3e30] {
            let x = Tensor::new(&[[1f32, 0.0], [2.0, odd]], &Device::Cpu).unwrap();
            let error = layer.forward(&x, Mode::Train(&Rng::new(0))).unwrap_err();
            assert!(matches!(&error, Error::NonFinite { name, .. } if name == "shared.norm"), "{error}");
            assert_eq!(running(), [[0.0; 2], [1.0; 2]]);
        }
    }
}
