//! A scalarizer named in a config file.

use serde::{Deserialize, Serialize};

use super::{
    Constant, Cosmos, Dwa, Famo, GeometricMean, ImtlL, LogLoss, Mean, Pbi, Random, Scalarizer, Stch, Sum,
    Uncertainty, UncertaintySoftmax,
};

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
    /// [`LogLoss`].
    LogLoss(LogLoss),
    /// [`GeometricMean`].
    GeometricMean(GeometricMean),
    /// [`Uncertainty`].
    Uncertainty(Uncertainty),
    /// [`UncertaintySoftmax`].
    UncertaintySoftmax(UncertaintySoftmax),
    /// [`ImtlL`].
    ImtlL(ImtlL),
    /// [`Dwa`].
    Dwa(Dwa),
    /// [`Random`].
    Random(Random),
    /// [`Stch`].
    Stch(Stch),
    /// [`Famo`].
    Famo(Famo),
    /// [`Cosmos`].
    Cosmos(Cosmos),
    /// [`Pbi`].
    Pbi(Pbi),
}

impl ScalarizerConfig {
    /// The scalarizer in its initial state.
    pub fn build(&self) -> Box<dyn Scalarizer> {
        match self.clone() {
            Self::Sum(scalarizer) => Box::new(scalarizer),
            Self::Mean(scalarizer) => Box::new(scalarizer),
            Self::Constant(scalarizer) => Box::new(scalarizer),
            Self::LogLoss(scalarizer) => Box::new(scalarizer),
            Self::GeometricMean(scalarizer) => Box::new(scalarizer),
            Self::Uncertainty(scalarizer) => Box::new(scalarizer),
            Self::UncertaintySoftmax(scalarizer) => Box::new(scalarizer),
            Self::ImtlL(scalarizer) => Box::new(scalarizer),
            Self::Dwa(scalarizer) => Box::new(scalarizer),
            Self::Random(scalarizer) => Box::new(scalarizer),
            Self::Stch(scalarizer) => Box::new(scalarizer),
            Self::Famo(scalarizer) => Box::new(scalarizer),
            Self::Cosmos(scalarizer) => Box::new(scalarizer),
            Self::Pbi(scalarizer) => Box::new(scalarizer),
        }
    }
}
