//! A scalarizer named in a config file.

use serde::{Deserialize, Serialize};

use super::{Constant, Mean, Scalarizer, Sum};

/// Any scalarizer of this crate by name, with its parameters.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::ScalarizerConfig;
/// let text = r#"{"name": "constant", "weights": [["class", 1.0], ["mask", 10.0]]}"#;
/// let config: ScalarizerConfig = serde_json::from_str(text).unwrap();
/// let losses = Named::new([("mask", Tensor::new(2f64, &Device::Cpu)?)])?;
/// assert_eq!(config.build().scalarize(&losses)?.to_scalar::<f64>()?, 20.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScalarizerConfig {
    /// [`Sum`].
    Sum(Sum),
    /// [`Mean`].
    Mean(Mean),
    /// [`Constant`].
    Constant(Constant),
}

impl ScalarizerConfig {
    /// The scalarizer in its initial state.
    pub fn build(&self) -> Box<dyn Scalarizer> {
        match self.clone() {
            Self::Sum(scalarizer) => Box::new(scalarizer),
            Self::Mean(scalarizer) => Box::new(scalarizer),
            Self::Constant(scalarizer) => Box::new(scalarizer),
        }
    }
}
