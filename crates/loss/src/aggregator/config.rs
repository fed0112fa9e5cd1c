//! An aggregator named in a config file.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{Aggregator, GradDrop, TrimmedMean, Weighted};
use crate::WeightingConfig;

/// Any aggregator of this crate by name, with its parameters; the name of a weighting is that of its weighted sum.
///
/// # Example
/// ```
/// use taskweave_loss::AggregatorConfig;
/// let read = |text| serde_json::from_str::<AggregatorConfig>(text);
/// assert!(read(r#"{"name": "trimmed_mean", "trim": 2}"#).is_ok());
/// assert!(read(r#"{"name": "cagrad", "c": 0.5}"#).is_ok());
/// assert!(read(r#"{"name": "cagrad", "c": -0.5}"#).unwrap_err().to_string().contains("c: expected"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", untagged)]
#[non_exhaustive]
pub enum AggregatorConfig {
    /// [`Weighted`] by this weighting.
    Weighted(Box<WeightingConfig>),
    /// What looks at every coordinate.
    Coordinates(CoordinatesConfig),
}

/// An aggregator that looks at every coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CoordinatesConfig {
    /// [`TrimmedMean`].
    TrimmedMean(TrimmedMean),
    /// [`GradDrop`].
    #[serde(rename = "graddrop")]
    GradDrop(Box<GradDrop>),
}

impl AggregatorConfig {
    /// The aggregator in its initial state.
    ///
    /// # Errors
    /// Those of [`WeightingConfig::build`].
    pub fn build(&self) -> Result<Box<dyn Aggregator>> {
        Ok(match self.clone() {
            Self::Weighted(weighting) => Box::new(Weighted::new(weighting.build()?)),
            Self::Coordinates(CoordinatesConfig::TrimmedMean(aggregator)) => Box::new(aggregator),
            Self::Coordinates(CoordinatesConfig::GradDrop(aggregator)) => aggregator,
        })
    }
}

impl TryFrom<serde_json::Value> for AggregatorConfig {
    type Error = serde_json::Error;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, Self::Error> {
        match value["name"].as_str() {
            Some("trimmed_mean" | "graddrop") => serde_json::from_value(value).map(Self::Coordinates),
            _ => serde_json::from_value(value).map(Self::Weighted),
        }
    }
}
