//! A threshold named in a configuration file.

use serde::{Deserialize, Serialize};

use super::{Fixed, Flexible, Free, Threshold};

/// Any threshold by name, with its parameters.
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::threshold::ThresholdConfig;
/// let config: ThresholdConfig = serde_json::from_str(r#"{"name": "fixed", "tau": 0.9}"#).unwrap();
/// assert!(serde_json::from_str::<ThresholdConfig>(r#"{"name": "fixed", "tau": -1}"#).is_err());
/// # let _ = config.build();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThresholdConfig {
    /// [`Fixed`].
    Fixed(Fixed),
    /// [`Flexible`].
    Flexible(Flexible),
    /// [`Free`].
    Free(Free),
}

impl ThresholdConfig {
    /// The threshold, at its beginning.
    pub fn build(&self) -> Box<dyn Threshold> {
        match self.clone() {
            Self::Fixed(threshold) => Box::new(threshold),
            Self::Flexible(threshold) => Box::new(threshold),
            Self::Free(threshold) => Box::new(threshold),
        }
    }
}

impl Default for ThresholdConfig {
    fn default() -> Self {
        Self::Fixed(Fixed::default())
    }
}
