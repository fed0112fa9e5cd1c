//! An aggregator named in a config file.

use serde::de::Error;
use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::*;
use crate::{WeightingConfig, family::family};

/// Any aggregator of this crate by name, with its parameters; the name of a weighting is that of its weighted sum.
///
/// # Example
/// ```
/// use taskweave_loss::AggregatorConfig;
/// let read = |text| serde_json::from_str::<AggregatorConfig>(text);
/// assert!(read(r#"{"name": "trimmed_mean", "trim": 2}"#).is_ok());
/// assert!(read(r#"{"name": "cagrad", "c": 0.5}"#).is_ok());
/// assert!(read(r#"{"name": "cagrad", "c": -0.5}"#).unwrap_err().to_string().contains("c: expected"));
/// let unknown = read(r#"{"name": "mgrad"}"#).unwrap_err().to_string();
/// assert!(unknown.contains("`mgda`") && unknown.contains("`trimmed_mean`"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", untagged)]
#[non_exhaustive]
pub enum AggregatorConfig {
    /// [`Weighted`] by this weighting.
    Weighted(Box<WeightingConfig>),
    /// What does more than to weigh.
    Blockwise(Box<BlockwiseConfig>),
}

family! {
    /// An aggregator that does more than to weigh all blocks alike.
    BlockwiseConfig of Aggregator {
        "trimmed_mean" => TrimmedMean,
        "graddrop" => GradDrop,
        "db_mtl" => DbMtl,
        "moco" => MoCo,
        "excess_mtl" => ExcessMtl,
        "sam_gs" => SamGs,
    }
    wrappers {
        "per_group" => PerGroup(PerGroupConfig),
        "within" => Within(WithinConfig),
    }
}

impl AggregatorConfig {
    /// The aggregator in its initial state.
    ///
    /// # Errors
    /// Those of [`WeightingConfig::build`].
    pub fn build(&self) -> Result<Box<dyn Aggregator>> {
        match self {
            Self::Weighted(weighting) => Ok(Box::new(Weighted::new(weighting.build()?))),
            Self::Blockwise(aggregator) => aggregator.build(),
        }
    }
}

impl TryFrom<serde_json::Value> for AggregatorConfig {
    type Error = serde_json::Error;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, Self::Error> {
        let is_of = |names: &[&str]| value["name"].as_str().is_some_and(|name| names.contains(&name));
        match value["name"].as_str() {
            _ if is_of(BlockwiseConfig::NAMES) => serde_json::from_value(value).map(Self::Blockwise),
            Some(name) if !is_of(WeightingConfig::NAMES) => {
                let known = [WeightingConfig::NAMES, BlockwiseConfig::NAMES].concat().join("`, `");
                Err(Error::custom(format!("unknown aggregator `{name}`, expected one of `{known}`")))
            }
            _ => serde_json::from_value(value).map(Self::Weighted),
        }
    }
}
