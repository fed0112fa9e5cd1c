//! A protocol named in a configuration file.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{
    AutoLambda, AutoLambdaConfig, Forum, ForumConfig, Modo, ModoConfig, Moml, MomlConfig, Plain, Protocol,
    SdmGrad, SdmGradConfig,
};

/// Any protocol by name, with its parameters; those left out take their defaults, and an unknown one is an error.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::ProtocolConfig;
/// let config: ProtocolConfig = serde_json::from_str(r#"{"name": "auto_lambda", "primary": ["class"]}"#)?;
/// assert_eq!(config.build()?.needs().upper, 1);
/// assert!(serde_json::from_str::<ProtocolConfig>(r#"{"name": "modo", "gama": 0.1}"#).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProtocolConfig {
    /// [`Plain`].
    Plain(PlainConfig),
    /// [`Modo`].
    Modo(ModoConfig),
    /// [`SdmGrad`].
    #[serde(rename = "sdmgrad")]
    SdmGrad(SdmGradConfig),
    /// [`AutoLambda`].
    AutoLambda(AutoLambdaConfig),
    /// [`Moml`].
    Moml(MomlConfig),
    /// [`Forum`].
    Forum(ForumConfig),
}

/// The parameters of [`Plain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlainConfig {
    /// Batches that make one step, at least 1.
    pub batches: usize,
}

impl Default for PlainConfig {
    fn default() -> Self {
        Self { batches: 1 }
    }
}

impl Default for ProtocolConfig {
    /// The ordinary step on one batch.
    fn default() -> Self {
        Self::Plain(PlainConfig::default())
    }
}

impl ProtocolConfig {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a parameter out of range.
    pub fn build(&self) -> Result<Box<dyn Protocol>> {
        Ok(match self.clone() {
            Self::Plain(PlainConfig { batches }) => Box::new(Plain::new(batches)?),
            Self::Modo(config) => Box::new(Modo::new(config)?),
            Self::SdmGrad(config) => Box::new(SdmGrad::new(config)?),
            Self::AutoLambda(config) => Box::new(AutoLambda::new(config)?),
            Self::Moml(config) => Box::new(Moml::new(config)?),
            Self::Forum(config) => Box::new(Forum::new(config)?),
        })
    }
}
