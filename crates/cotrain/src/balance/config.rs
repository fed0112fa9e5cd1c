//! A balance as a value, for files.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taskweave_kernels::{Error, Result};
use taskweave_loss::scalarizer::Sum;
use taskweave_loss::{AggregatorConfig, ScalarizerConfig, WeightingConfig};

use super::{Balance, Heads, Normalize, Scale};

/// A [`Balance`] as a value: any method with its parameters, and every convention.
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `losses` | sum | the scalarizer |
/// | `gradients` | none | what is balanced beyond the losses, and by which method |
/// | `scale`, `heads`, `normalize`, `refresh` | as for [`Balance`] | the conventions |
/// | `seed` | none | the seed of every method in it that draws, in the place of the method's own |
///
/// # Example
/// ```
/// use taskweave_cotrain::{BalanceConfig, Scale};
/// let config: BalanceConfig = serde_json::from_str(r#"{
///     "losses": {"name": "log_loss"},
///     "gradients": {"of": "representation", "method": {"name": "cagrad", "c": 0.4}},
///     "scale": "times_k",
///     "seed": 7
/// }"#).unwrap();
/// assert_eq!(config.scale, Scale::TimesK);
/// assert_eq!(config.build()?.record()["gradients"]["method"]["c"], 0.4);
/// let wrong = r#"{"gradients": {"of": "parameters", "method": {"name": "cagrad", "c": -1}}}"#;
/// assert!(serde_json::from_str::<BalanceConfig>(wrong).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalanceConfig {
    /// The losses of the tasks → one scalar, whose slopes weigh the losses.
    pub losses: ScalarizerConfig,
    /// What is balanced beyond the losses.
    pub gradients: Option<GradientsConfig>,
    /// What the weights are multiplied by.
    pub scale: Scale,
    /// Whether a head learns with the weight of its task.
    pub heads: Heads,
    /// At what length gradients are balanced.
    pub normalize: Normalize,
    /// Steps from one computation of the weights to the next, ≥ 1.
    pub refresh: u64,
    /// The seed of every method that draws, in the place of its own.
    pub seed: Option<u64>,
}

/// What a balance compares beyond the losses, and by which method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum GradientsConfig {
    /// [`Balance::parameters`].
    Parameters {
        /// The method.
        method: AggregatorConfig,
    },
    /// [`Balance::representation`].
    Representation {
        /// The method.
        method: AggregatorConfig,
    },
    /// [`Balance::samples`].
    Samples {
        /// The method.
        method: Box<WeightingConfig>,
    },
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            losses: ScalarizerConfig::Sum(Sum),
            gradients: None,
            scale: Scale::default(),
            heads: Heads::default(),
            normalize: Normalize::default(),
            refresh: 1,
            seed: None,
        }
    }
}

impl BalanceConfig {
    /// The balance in its initial state.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter of a wrapper that is out of range; all others were checked when they were
    /// read, and conventions are when a step is built.
    pub fn build(&self) -> Result<Balance> {
        let losses = seeded(&self.losses, self.seed)?;
        let gradients = self.gradients.as_ref().map(|gradients| seeded(gradients, self.seed)).transpose()?;
        let named = [json!(losses), json!(gradients)];
        let balance = match &gradients {
            None => Balance::default(),
            Some(GradientsConfig::Parameters { method }) => Balance::parameters(method.build()?),
            Some(GradientsConfig::Representation { method }) => Balance::representation(method.build()?),
            Some(GradientsConfig::Samples { method }) => Balance::samples(method.build()?),
        };
        let balance = balance.scalarizer(losses.build()).scale(self.scale).heads(self.heads);
        Ok(Balance { named, ..balance.normalize(self.normalize).refresh(self.refresh) })
    }
}

/// The same configuration with this seed wherever it has one.
fn seeded<T: Serialize + DeserializeOwned + Clone>(config: &T, seed: Option<u64>) -> Result<T> {
    let Some(seed) = seed else { return Ok(config.clone()) };
    let refused = |error| Error::parameter("seed of the balance", "methods that take one", error);
    let mut value = serde_json::to_value(config).map_err(refused)?;
    plant(&mut value, seed);
    serde_json::from_value(value).map_err(refused)
}

fn plant(value: &mut Value, seed: u64) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name == "seed" {
                    true => *value = seed.into(),
                    false => plant(value, seed),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| plant(value, seed)),
        _ => {}
    }
}
