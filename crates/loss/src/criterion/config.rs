//! A criterion named in a config file.

use serde::{Deserialize, Serialize};

use super::{
    Absolute, BceWithLogits, Clip, Criterion, CrossEntropy, CrossPseudo, Dice, Huber, JensenShannon,
    KlDivergence, L1, LogCosh, LogLoss, Mse, NtXent, PairwiseKl, PoissonNll, ProbabilityMse, SigmoidFocal,
    SmoothL1, SoftCrossEntropy,
};

/// Any criterion of this crate by name, with its parameters.
///
/// Parameters that are left out take their defaults; parameters out of range and unknown ones are refused.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::CriterionConfig;
/// let config: CriterionConfig = serde_json::from_str(r#"{"name": "huber", "delta": 2.0}"#).unwrap();
/// let target = Target::new(Tensor::new(&[0f64], &Device::Cpu)?)?;
/// let losses = config.build().losses(&Tensor::new(&[5f64], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [8.0]); // 2·(5 − 1)
/// assert!(serde_json::from_str::<CriterionConfig>(r#"{"name": "huber", "delta": -1.0}"#).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CriterionConfig {
    /// [`CrossEntropy`].
    CrossEntropy(CrossEntropy),
    /// [`SoftCrossEntropy`].
    SoftCrossEntropy(SoftCrossEntropy),
    /// [`KlDivergence`].
    KlDivergence(KlDivergence),
    /// [`BceWithLogits`].
    BceWithLogits(BceWithLogits),
    /// [`LogLoss`].
    LogLoss(LogLoss),
    /// [`SigmoidFocal`].
    SigmoidFocal(SigmoidFocal),
    /// [`Mse`].
    Mse(Mse),
    /// [`L1`].
    L1(L1),
    /// [`Huber`].
    Huber(Huber),
    /// [`SmoothL1`].
    SmoothL1(SmoothL1),
    /// [`LogCosh`].
    LogCosh(LogCosh),
    /// [`PoissonNll`].
    PoissonNll(PoissonNll),
    /// [`Dice`].
    Dice(Dice),
    /// [`ProbabilityMse`].
    ProbabilityMse(ProbabilityMse),
    /// [`JensenShannon`].
    JensenShannon(JensenShannon),
    /// [`PairwiseKl`].
    PairwiseKl(PairwiseKl),
    /// [`CrossPseudo`].
    CrossPseudo(CrossPseudo),
    /// [`NtXent`].
    NtXent(NtXent),
    /// [`Clip`].
    Clip(Clip),
    /// [`Absolute`].
    Absolute(Absolute),
}

impl CriterionConfig {
    /// The criterion.
    pub fn build(&self) -> Box<dyn Criterion> {
        match self.clone() {
            Self::CrossEntropy(criterion) => Box::new(criterion),
            Self::SoftCrossEntropy(criterion) => Box::new(criterion),
            Self::KlDivergence(criterion) => Box::new(criterion),
            Self::BceWithLogits(criterion) => Box::new(criterion),
            Self::LogLoss(criterion) => Box::new(criterion),
            Self::SigmoidFocal(criterion) => Box::new(criterion),
            Self::Mse(criterion) => Box::new(criterion),
            Self::L1(criterion) => Box::new(criterion),
            Self::Huber(criterion) => Box::new(criterion),
            Self::SmoothL1(criterion) => Box::new(criterion),
            Self::LogCosh(criterion) => Box::new(criterion),
            Self::PoissonNll(criterion) => Box::new(criterion),
            Self::Dice(criterion) => Box::new(criterion),
            Self::ProbabilityMse(criterion) => Box::new(criterion),
            Self::JensenShannon(criterion) => Box::new(criterion),
            Self::PairwiseKl(criterion) => Box::new(criterion),
            Self::CrossPseudo(criterion) => Box::new(criterion),
            Self::NtXent(criterion) => Box::new(criterion),
            Self::Clip(criterion) => Box::new(criterion),
            Self::Absolute(criterion) => Box::new(criterion),
        }
    }
}
