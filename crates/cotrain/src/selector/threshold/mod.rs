//! Which predictions are sure enough to learn from.
//!
//! | threshold | a prediction of class c is taken where its probability reaches | remembers |
//! | --- | --- | --- |
//! | [`Fixed`] | τ | nothing |
//! | [`Flexible`] | τ, lowered for classes that few samples have reached it for (FlexMatch) | the class of each sample that has reached it |
//! | [`Free`] | what the network itself is sure of on the average, lowered for rare classes (FreeMatch) | running means |
//!
//! A threshold sees plain numbers and no tensor. [`ThresholdConfig`] chooses one from a configuration file.

mod config;
mod fixed;
mod flexible;
mod free;
mod probabilities;

pub use config::ThresholdConfig;
pub use fixed::Fixed;
pub use flexible::Flexible;
pub use free::Free;
pub use probabilities::Probabilities;

use taskweave_kernels::{Result, Stateful};

/// Which predictions are sure enough to learn from.
///
/// # Example
/// A threshold of one's own: the surer half.
/// ```
/// use taskweave_cotrain::selector::threshold::{Probabilities, Threshold};
/// use taskweave_kernels::{Result, State, Stateful};
///
/// #[derive(Debug)]
/// struct SurerHalf;
///
/// impl Threshold for SurerHalf {
///     fn select(&mut self, _: &[usize], p: &Probabilities) -> Result<Vec<bool>> {
///         let mut sorted: Vec<f64> = p.best().iter().map(|(_, confidence)| *confidence).collect();
///         sorted.sort_by(f64::total_cmp);
///         let middle = sorted[sorted.len() / 2];
///         Ok(p.best().iter().map(|(_, confidence)| *confidence >= middle).collect())
///     }
/// }
///
/// impl Stateful for SurerHalf {
///     fn save(&self) -> Result<State> {
///         State::of(&())
///     }
///     fn restore(&mut self, state: &State) -> Result<()> {
///         state.read("surer half")
///     }
/// }
///
/// let p = Probabilities::new(2, vec![0.9, 0.1, 0.4, 0.6])?;
/// assert_eq!(SurerHalf.select(&[0, 1], &p)?, [true, false]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Threshold: Stateful + std::fmt::Debug + Send {
    /// Whether each prediction is taken. `samples` are the indices of the samples in their data set, one per row, or as
    /// many rows per sample as it has positions.
    ///
    /// # Errors
    /// Predictions that do not fit the threshold.
    fn select(&mut self, samples: &[usize], p: &Probabilities) -> Result<Vec<bool>>;
}
