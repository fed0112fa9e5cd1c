//! Transforms chosen from a configuration file.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{ColorJitter, Compose, Cutout, Flip, Noise, Normalize, Padding, RandAugment, Shift, Transform};

/// One transform with its parameters, as a configuration file names it. [`TransformConfig::build`] checks the
/// parameters by the constructor of the transform.
///
/// # Example
/// ```
/// use taskweave_data::{Padding, TransformConfig};
/// let text = r#"{ "shift": { "pixels": 2, "padding": "edge" } }"#;
/// let config: TransformConfig = serde_json::from_str(text).unwrap();
/// assert_eq!(config, TransformConfig::Shift { pixels: 2, padding: Padding::Edge });
/// assert!(config.build().is_ok());
/// assert!(TransformConfig::Flip { p: 1.5 }.build().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TransformConfig {
    /// [`Flip`].
    Flip {
        /// Probability.
        p: f64,
    },
    /// [`Shift`].
    Shift {
        /// The farthest move.
        pixels: usize,
        /// What fills the gap.
        padding: Padding,
    },
    /// [`Cutout`].
    Cutout {
        /// Side of the square in pixels.
        size: usize,
    },
    /// [`ColorJitter`].
    ColorJitter {
        /// Factor in 1 ± brightness.
        brightness: f64,
        /// Factor in 1 ± contrast.
        contrast: f64,
        /// Factor in 1 ± saturation.
        saturation: f64,
    },
    /// [`Noise`].
    Noise {
        /// Standard deviation.
        std: f64,
    },
    /// [`Normalize`].
    Normalize {
        /// Subtracted, per channel.
        mean: Vec<f32>,
        /// Divided by, per channel.
        std: Vec<f32>,
    },
    /// [`RandAugment`].
    RandAugment {
        /// How many changes.
        changes: usize,
        /// The most that a change may do.
        strength: f64,
    },
    /// [`Compose`].
    Compose(Vec<TransformConfig>),
}

impl TransformConfig {
    /// The transform.
    ///
    /// # Errors
    /// Those of its constructor.
    pub fn build(&self) -> Result<Box<dyn Transform>> {
        Ok(match self {
            Self::Flip { p } => Box::new(Flip::new(*p)?),
            Self::Shift { pixels, padding } => Box::new(Shift::new(*pixels, *padding)),
            Self::Cutout { size } => Box::new(Cutout::new(*size)?),
            Self::ColorJitter { brightness, contrast, saturation } => {
                Box::new(ColorJitter::new(*brightness, *contrast, *saturation)?)
            }
            Self::Noise { std } => Box::new(Noise::new(*std)?),
            Self::Normalize { mean, std } => Box::new(Normalize::new(mean.clone(), std.clone())?),
            Self::RandAugment { changes, strength } => Box::new(RandAugment::new(*changes, *strength)?),
            Self::Compose(parts) => {
                let parts: Result<_> = parts.iter().map(Self::build).collect();
                Box::new(Compose::new(parts?))
            }
        })
    }
}
