//! The choice of a schedule, as it stands in a configuration file.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Constant, Cosine, Exponential, LinearWarmup, MultiStep, OneCycle, Rate, ReduceOnPlateau, Sequential, Step,
};

/// A schedule with its parameters.
///
/// In a file it is one object: `name` picks the schedule, the other fields are its parameters, and those left
/// out take their defaults. An unknown field or a parameter outside its range is an error.
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::RateConfig;
/// let config: RateConfig = serde_json::from_str(r#"{"name": "step", "step_size": 10}"#)?;
/// let rate = config.build()?;
/// assert!((rate.rate(0.5, 10) - 0.05).abs() < 1e-12);
/// assert!(serde_json::from_str::<RateConfig>(r#"{"name": "step", "step_size": 0}"#).is_err());
/// assert!(serde_json::from_str::<RateConfig>(r#"{"name": "step", "step_size": 10, "size": 1}"#).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum RateConfig {
    /// The base rate at all times.
    Constant(Constant),
    /// Times a factor at regular distances.
    Step(Step),
    /// Times a factor at given times.
    MultiStep(MultiStep),
    /// Times a factor at every time.
    Exponential(Exponential),
    /// Half a cosine down to a minimum.
    Cosine(Cosine),
    /// A line up to the base rate.
    LinearWarmup(LinearWarmup),
    /// Half a cosine up to a maximum, then half a cosine down.
    OneCycle(OneCycle),
    /// Times a factor where a metric stops getting better.
    ReduceOnPlateau(ReduceOnPlateau),
    /// One schedule after the other.
    Sequential(Parts),
}

/// The parts of a [`Sequential`] schedule; its parameter table holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Parts {
    parts: Vec<RateConfig>,
    milestones: Vec<u64>,
}

impl RateConfig {
    /// The schedule, at its beginning.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn build(self) -> Result<Box<dyn Rate>> {
        Ok(match self {
            Self::Constant(rate) => Box::new(rate),
            Self::Step(rate) => Box::new(rate),
            Self::MultiStep(rate) => Box::new(rate),
            Self::Exponential(rate) => Box::new(rate),
            Self::Cosine(rate) => Box::new(rate),
            Self::LinearWarmup(rate) => Box::new(rate),
            Self::OneCycle(rate) => Box::new(rate),
            Self::ReduceOnPlateau(rate) => Box::new(rate),
            Self::Sequential(parts) => Box::new(parts.build()?),
        })
    }
}

impl Default for RateConfig {
    /// The base rate at all times.
    fn default() -> Self {
        Self::Constant(Constant)
    }
}

impl Parts {
    /// The `parts`, of which each but the first starts at its milestone.
    ///
    /// # Errors
    /// [`Error::Parameter`] where the milestones do not fit; see [`Sequential`].
    pub fn new(parts: Vec<RateConfig>, milestones: Vec<u64>) -> Result<Self> {
        let parts = Self { parts, milestones };
        parts.clone().build()?;
        Ok(parts)
    }

    fn build(self) -> Result<Sequential> {
        let parts: Result<_> = self.parts.into_iter().map(RateConfig::build).collect();
        Sequential::new(parts?, self.milestones)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    parts: Vec<RateConfig>,
    milestones: Vec<u64>,
}

impl TryFrom<Fields> for Parts {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.parts, fields.milestones)
    }
}
