//! A weighting named in a config file.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Result;

use super::{
    AlignedMtl, CaGrad, ConfigGrad, Constant, DualProj, Ema, Every, FairGrad, GradVac, ImtlG, Krum, Mean,
    Mgda, NashMtl, NormBalance, PcGrad, Random, Sum, UpGrad, Weighting,
};

/// Any weighting of this crate by name, with its parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Weighting, WeightingConfig}};
/// let text = r#"{"name": "ema", "beta": 0.9, "of": {"name": "cagrad", "c": 0.0}}"#;
/// let config: WeightingConfig = serde_json::from_str(text).unwrap();
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// assert_eq!(config.build()?.weights(&gramian)?, [0.5, 0.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WeightingConfig {
    /// [`Mean`].
    Mean(Mean),
    /// [`Sum`].
    Sum(Sum),
    /// [`Constant`].
    Constant(Constant),
    /// [`Random`].
    Random(Random),
    /// [`NormBalance`].
    NormBalance(NormBalance),
    /// [`Mgda`].
    Mgda(Mgda),
    /// [`DualProj`].
    #[serde(rename = "dualproj")]
    DualProj(DualProj),
    /// [`UpGrad`].
    #[serde(rename = "upgrad")]
    UpGrad(UpGrad),
    /// [`PcGrad`].
    #[serde(rename = "pcgrad")]
    PcGrad(PcGrad),
    /// [`GradVac`].
    #[serde(rename = "gradvac")]
    GradVac(GradVac),
    /// [`ImtlG`].
    ImtlG(ImtlG),
    /// [`CaGrad`].
    #[serde(rename = "cagrad")]
    CaGrad(CaGrad),
    /// [`NashMtl`].
    NashMtl(NashMtl),
    /// [`FairGrad`].
    #[serde(rename = "fairgrad")]
    FairGrad(FairGrad),
    /// [`AlignedMtl`].
    AlignedMtl(AlignedMtl),
    /// [`ConfigGrad`].
    #[serde(rename = "config")]
    ConfigGrad(ConfigGrad),
    /// [`Krum`].
    Krum(Krum),
    /// [`Ema`].
    Ema(EmaConfig),
    /// [`Every`].
    Every(EveryConfig),
}

/// The parameters of [`Ema`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// How slowly the weights follow.
    #[serde(default = "slowly")]
    pub beta: f64,
    /// The method.
    pub of: Box<WeightingConfig>,
}

fn slowly() -> f64 {
    0.9
}

/// The parameters of [`Every`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryConfig {
    /// From one computation to the next.
    pub steps: u64,
    /// The method.
    pub of: Box<WeightingConfig>,
}

impl WeightingConfig {
    /// The weighting in its initial state.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a parameter of a wrapper that is out of range; all
    /// others were checked when they were read.
    pub fn build(&self) -> Result<Box<dyn Weighting>> {
        Ok(match self.clone() {
            Self::Mean(weighting) => Box::new(weighting),
            Self::Sum(weighting) => Box::new(weighting),
            Self::Constant(weighting) => Box::new(weighting),
            Self::Random(weighting) => Box::new(weighting),
            Self::NormBalance(weighting) => Box::new(weighting),
            Self::Mgda(weighting) => Box::new(weighting),
            Self::DualProj(weighting) => Box::new(weighting),
            Self::UpGrad(weighting) => Box::new(weighting),
            Self::PcGrad(weighting) => Box::new(weighting),
            Self::GradVac(weighting) => Box::new(weighting),
            Self::ImtlG(weighting) => Box::new(weighting),
            Self::CaGrad(weighting) => Box::new(weighting),
            Self::NashMtl(weighting) => Box::new(weighting),
            Self::FairGrad(weighting) => Box::new(weighting),
            Self::AlignedMtl(weighting) => Box::new(weighting),
            Self::ConfigGrad(weighting) => Box::new(weighting),
            Self::Krum(weighting) => Box::new(weighting),
            Self::Ema(EmaConfig { beta, of }) => Box::new(Ema::new(beta, of.build()?)?),
            Self::Every(EveryConfig { steps, of }) => Box::new(Every::new(steps, of.build()?)?),
        })
    }
}
