//! A head as a configuration, for files.

use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{Classification, Dense, Regression};
use crate::{Features, Stage};

/// A head as a value that can be saved and rebuilt.
///
/// # Example
/// ```
/// use taskweave_heads::HeadConfig;
/// let head: HeadConfig = serde_json::from_str(r#"{"kind": "dense", "classes": 2}"#).unwrap();
/// assert_eq!(head, HeadConfig::Dense { classes: 2 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HeadConfig {
    /// [`Classification`].
    Classification {
        /// At least 2.
        classes: usize,
    },
    /// [`Regression`].
    Regression {
        /// At least 1.
        outputs: usize,
    },
    /// [`Dense`].
    Dense {
        /// At least 2.
        classes: usize,
    },
}

impl HeadConfig {
    /// Builds the head over `features`.
    ///
    /// # Errors
    /// Those of the head.
    pub fn build(&self, vb: &VarBuilder<'_>, features: Features) -> Result<Box<dyn Stage>> {
        Ok(match *self {
            Self::Classification { classes } => Box::new(Classification::new(vb, features, classes)?),
            Self::Regression { outputs } => Box::new(Regression::new(vb, features, outputs)?),
            Self::Dense { classes } => Box::new(Dense::new(vb, features, classes)?),
        })
    }
}
