//! Deep co-training: what a method does to a batch before a step, and to the networks after it.
//!
//! The objective of a method is a list of [`Term`]s, and a step minimizes it as it minimizes the losses of
//! several tasks. What is left to a method is to say who learns what: it sets labels and weights of the batch (a
//! pseudo-label, weight 0 for a sample that is not selected), adds inputs (an adversarial example), and moves
//! networks that no gradient reaches (a running mean). That is [`Teaching`].
//!
//! | method | paper | teaches by | needs |
//! | --- | --- | --- | --- |
//! | [`DeepCoTraining`] | Qiao et al. 2018 | agreement on unlabeled samples, each network on the other's adversarial examples | 2 networks |
//! | [`MutualLearning`] | Zhang et al. 2018 | each network imitates the others | ≥ 2 networks |
//! | [`CrossPseudo`] | Chen et al. 2021 | each network learns what the others would choose, per pixel too | ≥ 2 networks |
//! | [`CoTeaching`] | Han et al. 2018 | each network picks the small losses for the other | 2 networks |
//! | [`CoTeachingPlus`] | Yu et al. 2019 | the same among samples on which they disagree | 2 networks |
//! | [`JoCoR`] | Wei et al. 2020 | small joint losses, and agreement | 2 networks |
//! | [`MeanTeacher`] | Tarvainen and Valpola 2017 | agreement with the running mean of the network | a frozen copy, 2 views |
//! | [`FixMatch`] | Sohn et al. 2020; Zhang et al. 2021; Wang et al. 2023 | sure predictions on a weak view label a strong one | 2 views |
//! | [`NoisyStudent`] | Xie et al. 2020 | a network labels for the next one, which learns under noise | ≥ 2 networks, 2 views |
//! | [`Rotation`] | – | the networks, or groups of terms, take turns | – |
//!
//! The networks are the members of an [`Ensemble`], built by the caller; which layers they share is their
//! business: a layer built from [`Params::shared`](taskweave_heads::Params::shared) is one for all, a layer built from
//! [`Params::member`](taskweave_heads::Params::member) belongs to one. Each method teaches one task; other tasks of the
//! networks are further terms and train as usual. [`Teachings`] puts the parts together.
//!
//! What [`Gate`](crate::gate::Gate) is to rounds, [`EpochGate`](crate::gate::EpochGate) is to the epochs of these trainings, with
//! validation labels or without; they end with the parameters of the last good epoch.
//!
//! Networks that teach predict in evaluation mode: their choices are functions of the parameters and the batch alone.

mod co_teaching;
mod co_teaching_plus;
mod config;
mod cross_pseudo;
mod deep_co_training;
mod ema;
mod fgsm;
mod fix_match;
mod jocor;
mod mean_teacher;
mod mutual_learning;
mod noisy_student;
mod ramp;
mod rotation;
mod supervised;
mod taught_batch;
mod teachings;

pub use co_teaching::CoTeaching;
pub use co_teaching_plus::CoTeachingPlus;
pub use config::TeachingConfig;
pub use cross_pseudo::CrossPseudo;
pub use deep_co_training::DeepCoTraining;
pub use fgsm::fgsm;
pub use fix_match::{FixMatch, FixMatchConfig};
pub use jocor::JoCoR;
pub use mean_teacher::MeanTeacher;
pub use mutual_learning::MutualLearning;
pub use noisy_student::NoisyStudent;
pub use ramp::Ramp;
pub use rotation::Rotation;
pub use supervised::Supervised;
pub use taught_batch::TaughtBatch;
pub use teachings::Teachings;

use taskweave_kernels::{Named, Result, Stateful};

use crate::{Ensemble, Term};

/// What a method does to a batch before a step, and to the networks after it.
///
/// # Example
/// A method of one's own: a network learns only the samples that it is wrong about.
/// ```
/// use taskweave_cotrain::selector::threshold::Probabilities;
/// use taskweave_cotrain::teaching::{TaughtBatch, Teaching};
/// use taskweave_cotrain::{Ensemble, Term};
/// use taskweave_kernels::{Named, Result, State, Stateful};
/// use taskweave_loss::{CriterionConfig, criterion::CrossEntropy};
///
/// #[derive(Debug)]
/// struct Mistakes;
///
/// impl Teaching for Mistakes {
///     fn terms(&self) -> Result<Named<Term>> {
///         Named::new([("class@a", Term::of("a", "class", CriterionConfig::CrossEntropy(CrossEntropy::default())))])
///     }
///     fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
///         let Some(target) = taught.batch.targets.get("class@a") else { return Ok(()) };
///         let labels = target.value().to_vec1::<u32>()?;
///         let logits = ensemble.predict("a", "class", &Named::default(), &taught.batch.inputs)?;
///         let best = Probabilities::of_logits(&logits)?.best();
///         let wrong: Vec<usize> = (0..labels.len()).filter(|i| best[*i].0 != labels[*i]).collect();
///         taught.select("class@a", &wrong)
///     }
/// }
///
/// impl Stateful for Mistakes {
///     fn save(&self) -> Result<State> {
///         State::of(&())
///     }
///     fn restore(&mut self, state: &State) -> Result<()> {
///         state.read("mistakes")
///     }
/// }
/// assert_eq!(Mistakes.terms()?["class@a"].members, ["a"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Teaching: Stateful + std::fmt::Debug + Send {
    /// The terms of the objective that belong to the method, by name. Parameters are checked here.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a parameter out of range.
    fn terms(&self) -> Result<Named<Term>>;

    /// Sets labels, weights and inputs of the batch of a step.
    ///
    /// # Errors
    /// Inputs that are missing, predictions that are not finite.
    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()>;

    /// Moves what no gradient reaches, when `done` steps of the training are done.
    ///
    /// # Errors
    /// Networks that do not fit each other.
    fn after_step(&mut self, _done: u64, _ensemble: &Ensemble) -> Result<()> {
        Ok(())
    }
}

/// The name of the term that is the plain task of one network.
pub(crate) fn plain(task: &str, member: &str) -> String {
    format!("{task}@{member}")
}
