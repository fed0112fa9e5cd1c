//! A transformer encoder.

use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use crate::{EncoderLayer, Stage};

/// Layers of a transformer encoder over `[batch, time, width]`, such as the vectors of an
/// [`Embedding`](crate::Embedding).
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `width` | – | ≥ 1 | values per step |
/// | `layers` | – | ≥ 1 | encoder layers |
/// | `heads` | – | a divisor of `width` | attention heads |
/// | `inner` | – | ≥ 1 | values between the two linear layers |
/// | `dropout` | 0 | `[0, 1)` | share dropped after attention and after the linear layers |
///
/// # Example
/// ```
/// use candle_core::{DType, Device};
/// use taskweave_heads::{Params, TransformerConfig};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let config = TransformerConfig { width: 256, layers: 4, heads: 4, inner: 1024, dropout: 0.0 };
/// assert_eq!(config.stages(&params.shared())?.len(), 4);
/// assert_eq!(params.count(), 4 * 789_760);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Values per step.
    pub width: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Values between the two linear layers.
    pub inner: usize,
    /// Share dropped after attention and after the linear layers.
    #[serde(default)]
    pub dropout: f64,
}

impl TransformerConfig {
    /// The layers, to follow whatever makes the vectors of a sequence.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range.
    pub fn stages(&self, vb: &VarBuilder<'_>) -> Result<Vec<Box<dyn Stage>>> {
        if self.layers == 0 {
            return Err(Error::parameter("layers of a transformer", "at least 1", 0));
        }
        let layer = |i| -> Result<Box<dyn Stage>> {
            Ok(Box::new(EncoderLayer::new(&vb.pp(format!("layer.{i}")), self)?))
        };
        (0..self.layers).map(layer).collect()
    }
}
