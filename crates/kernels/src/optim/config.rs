//! The choice of an update rule, as it stands in a configuration file.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Adagrad, Adam, AdamW, RmsProp, Rule, Sgd};

/// An update rule with its parameters.
///
/// In a file it is one object: `name` picks the rule, the other fields are its parameters, and those left out
/// take their defaults. An unknown field or a parameter outside its range is an error.
///
/// # Example
/// ```
/// use taskweave_kernels::optim::{Adam, OptimizerConfig};
/// let config: OptimizerConfig = serde_json::from_str(r#"{"name": "adam", "lr": 0.01}"#)?;
/// assert_eq!(config, OptimizerConfig::Adam(Adam { lr: 0.01, ..Adam::default() }));
/// assert!(serde_json::from_str::<OptimizerConfig>(r#"{"name": "adam", "lr": -1.0}"#).is_err());
/// assert!(serde_json::from_str::<OptimizerConfig>(r#"{"name": "adam", "rate": 1.0}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// SGD with momentum, dampening and Nesterov's step.
    Sgd(#[serde(deserialize_with = "checked")] Sgd),
    /// Adam with L2 decay.
    Adam(#[serde(deserialize_with = "checked")] Adam),
    /// Adam with decoupled decay.
    AdamW(#[serde(deserialize_with = "checked")] AdamW),
    /// RMSprop with momentum and the centered option.
    RmsProp(#[serde(deserialize_with = "checked")] RmsProp),
    /// Adagrad with a decaying learning rate.
    Adagrad(#[serde(deserialize_with = "checked")] Adagrad),
}

fn checked<'de, D: Deserializer<'de>, R: Rule + Deserialize<'de>>(source: D) -> Result<R, D::Error> {
    let rule = R::deserialize(source)?;
    rule.check().map_err(D::Error::custom)?;
    Ok(rule)
}
