//! The table of `conflicting_gradients` holds every method of the library.

#[path = "../toy/methods.rs"]
mod methods;

use methods::METHODS;
use taskweave::loss::aggregator::BlockwiseConfig;
use taskweave::loss::{AggregatorConfig, ScalarizerConfig, WeightingConfig};

#[test]
fn every_method_is_in_the_table() {
    let named =
        |name: &str| METHODS.iter().any(|(_, config)| config.starts_with(&format!(r#"{{"name": "{name}""#)));
    let of_more_tasks_or_blocks = ["krum", "trimmed_mean", "per_group", "within"];
    for name in [WeightingConfig::NAMES, BlockwiseConfig::NAMES, ScalarizerConfig::NAMES].concat() {
        assert_eq!(named(name), !of_more_tasks_or_blocks.contains(&name), "{name}");
    }
}

#[test]
fn every_configuration_is_one_of_the_library() {
    for (name, config) in METHODS {
        let aggregator = serde_json::from_str::<AggregatorConfig>(config).map(drop);
        let scalarizer = serde_json::from_str::<ScalarizerConfig>(config).map(drop);
        assert!(aggregator.is_ok() || scalarizer.is_ok(), "{name}: {aggregator:?}, {scalarizer:?}");
    }
}
