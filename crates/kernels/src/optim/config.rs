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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::optim::Optimizer;
    use crate::{Error, Named};

    /// A rule whose parameters have not been checked yet.
    fn unchecked(row: Value) -> OptimizerConfig {
        let name = row["name"].as_str().unwrap();
        let mut fields = row.clone();
        fields.as_object_mut().unwrap().remove("name");
        match name {
            "sgd" => OptimizerConfig::Sgd(serde_json::from_value(fields).unwrap()),
            "adam" => OptimizerConfig::Adam(serde_json::from_value(fields).unwrap()),
            "adamw" => OptimizerConfig::AdamW(serde_json::from_value(fields).unwrap()),
            "rmsprop" => OptimizerConfig::RmsProp(serde_json::from_value(fields).unwrap()),
            _ => OptimizerConfig::Adagrad(serde_json::from_value(fields).unwrap()),
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused_in_code_and_in_files() {
        let bad = [
            json!({"name": "sgd", "lr": -0.1}),
            json!({"name": "sgd", "momentum": 1.0}),
            json!({"name": "sgd", "momentum": 0.9, "dampening": -0.1}),
            json!({"name": "sgd", "weight_decay": -0.1}),
            json!({"name": "sgd", "nesterov": true}),
            json!({"name": "sgd", "nesterov": true, "momentum": 0.9, "dampening": 0.1}),
            json!({"name": "adam", "lr": -0.1}),
            json!({"name": "adam", "betas": [1.0, 0.9]}),
            json!({"name": "adam", "betas": [0.9, -0.1]}),
            json!({"name": "adam", "eps": 0.0}),
            json!({"name": "adam", "weight_decay": -0.1}),
            json!({"name": "adamw", "weight_decay": -0.1}),
            json!({"name": "rmsprop", "lr": -0.1}),
            json!({"name": "rmsprop", "alpha": 1.0}),
            json!({"name": "rmsprop", "eps": 0.0}),
            json!({"name": "rmsprop", "momentum": -0.1}),
            json!({"name": "rmsprop", "weight_decay": -0.1}),
            json!({"name": "adagrad", "lr": -0.1}),
            json!({"name": "adagrad", "lr_decay": -0.1}),
            json!({"name": "adagrad", "eps": 0.0}),
            json!({"name": "adagrad", "weight_decay": -0.1}),
        ];
        for row in bad {
            assert!(serde_json::from_value::<OptimizerConfig>(row.clone()).is_err(), "{row}");
            let made = Optimizer::new(unchecked(row.clone()), Named::default());
            assert!(matches!(made, Err(Error::Parameter { .. })), "{row}");
        }
    }

    #[test]
    fn a_configuration_survives_the_file() {
        for name in ["sgd", "adam", "adamw", "rmsprop", "adagrad"] {
            let config: OptimizerConfig = serde_json::from_value(json!({"name": name})).unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert!(text.starts_with(&format!("{{\"name\":\"{name}\",")), "{text}");
            assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).unwrap(), config);
        }
    }
}
