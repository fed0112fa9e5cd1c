//! A method named in a configuration file.

use serde::{Deserialize, Serialize};

use super::{
    CoTeaching, CoTeachingPlus, CrossPseudo, DeepCoTraining, FixMatchConfig, JoCoR, MeanTeacher,
    MutualLearning, NoisyStudent, Rotation, Supervised, Teaching,
};

/// Any method by name, with its parameters, which are checked where its terms are asked for.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::TeachingConfig;
/// let text = r#"{"name": "co_teaching", "task": "class", "members": ["a", "b"],
///     "criterion": {"name": "cross_entropy"}, "small_loss": {"forget": 0.45, "steps": 400}}"#;
/// let method = serde_json::from_str::<TeachingConfig>(text).unwrap().build();
/// assert_eq!(method.terms()?.len(), 2);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TeachingConfig {
    /// [`Supervised`].
    Supervised(Supervised),
    /// [`CoTeaching`].
    CoTeaching(CoTeaching),
    /// [`CoTeachingPlus`].
    CoTeachingPlus(CoTeachingPlus),
    /// [`JoCoR`].
    #[serde(rename = "jocor")]
    JoCoR(JoCoR),
    /// [`MutualLearning`].
    MutualLearning(MutualLearning),
    /// [`CrossPseudo`].
    CrossPseudo(CrossPseudo),
    /// [`DeepCoTraining`].
    DeepCoTraining(DeepCoTraining),
    /// [`MeanTeacher`].
    MeanTeacher(MeanTeacher),
    /// [`FixMatch`](super::FixMatch).
    FixMatch(FixMatchConfig),
    /// [`NoisyStudent`].
    NoisyStudent(NoisyStudent),
    /// [`Rotation`].
    Rotation(Rotation),
}

impl TeachingConfig {
    /// The method, at its beginning.
    pub fn build(self) -> Box<dyn Teaching> {
        match self {
            Self::Supervised(method) => Box::new(method),
            Self::CoTeaching(method) => Box::new(method),
            Self::CoTeachingPlus(method) => Box::new(method),
            Self::JoCoR(method) => Box::new(method),
            Self::MutualLearning(method) => Box::new(method),
            Self::CrossPseudo(method) => Box::new(method),
            Self::DeepCoTraining(method) => Box::new(method),
            Self::MeanTeacher(method) => Box::new(method),
            Self::FixMatch(config) => Box::new(config.build()),
            Self::NoisyStudent(method) => Box::new(method),
            Self::Rotation(method) => Box::new(method),
        }
    }
}
