//! A multi-layer perceptron as a trunk.

use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use taskweave_kernels::ops::Activation;
use taskweave_kernels::{Error, Result};

use super::{Backbone, Features};
use crate::{Dropout, Linear, Stage};

/// Per width: linear, ReLU, dropout.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `inputs` | – | ≥ 1 | values per sample |
/// | `widths` | – | at least one, each ≥ 1 | values after each layer |
/// | `dropout` | 0 | `[0, 1)` | share dropped after each layer while training |
///
/// # Example
/// ```
/// use candle_core::{DType, Device};
/// use taskweave_heads::{Features, MlpConfig, Params};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let trunk = MlpConfig { inputs: 4, widths: vec![8, 5], dropout: 0.0 }.build(&params.shared())?;
/// assert_eq!(trunk.features(), Features::Vector { width: 5 });
/// assert_eq!(params.count(), 4 * 8 + 8 + 8 * 5 + 5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Values per sample.
    pub inputs: usize,
    /// Values after each layer.
    pub widths: Vec<usize>,
    /// Share dropped after each layer while training.
    #[serde(default)]
    pub dropout: f64,
}

impl MlpConfig {
    /// Builds the trunk.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range.
    pub fn build(&self, vb: &VarBuilder<'_>) -> Result<Backbone> {
        let Some(&last) = self.widths.last() else {
            return Err(Error::parameter("widths of an MLP", "at least one", "none"));
        };
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        let mut inputs = self.inputs;
        for (i, &width) in self.widths.iter().enumerate() {
            stages.push(Box::new(Linear::new(&vb.pp(i), inputs, width)?.then(Activation::Relu)));
            if self.dropout != 0.0 {
                stages.push(Box::new(Dropout::new(&format!("{}.{i}.dropout", vb.prefix()), self.dropout)?));
            }
            inputs = width;
        }
        Ok(Backbone::new(stages, Features::Vector { width: last }))
    }
}
