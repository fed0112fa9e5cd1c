//! A scalarizer named in a config file.

use super::*;
use crate::family::family;

family! {
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
    ScalarizerConfig of Scalarizer {
        "sum" => Sum,
        "mean" => Mean,
        "constant" => Constant,
        "log_loss" => LogLoss,
        "geometric_mean" => GeometricMean,
        "uncertainty" => Uncertainty,
        "uncertainty_softmax" => UncertaintySoftmax,
        "imtl_l" => ImtlL,
        "dwa" => Dwa,
        "random" => Random,
        "stch" => Stch,
        "famo" => Famo,
        "cosmos" => Cosmos,
        "pbi" => Pbi,
        "go4align" => Go4Align,
        "ldc" => Ldc,
    }
}
