//! Learning-rate schedules.
//!
//! | schedule | rate at time t | reference |
//! | --- | --- | --- |
//! | [`Constant`] | the base rate | |
//! | [`Step`] | times `gamma` every `step_size` | |
//! | [`MultiStep`] | times `gamma` at each milestone | |
//! | [`Exponential`] | times `gamma` every time | |
//! | [`Cosine`] | half a cosine down to a minimum | Loshchilov and Hutter, ICLR 2017 |
//! | [`LinearWarmup`] | a line up to the base rate | Goyal et al., 2017 |
//! | [`OneCycle`] | half a cosine up, half a cosine down | Smith and Topin, 2018 |
//! | [`ReduceOnPlateau`] | times `factor` where a metric stops getting better | |
//! | [`Sequential`] | one schedule after the other, such as a warm-up and then a cosine | |
//!
//! A schedule does not know what it counts: the caller asks per epoch or per optimizer step, and gives the
//! lengths in the same unit. [`RateConfig`] chooses a schedule from a configuration file.

mod config;
#[cfg(test)]
mod conformance;
mod constant;
mod cosine;
mod exponential;
mod linear_warmup;
mod multi_step;
mod one_cycle;
mod reduce_on_plateau;
mod sequential;
mod step;

pub use config::{Parts, RateConfig};
pub use constant::Constant;
pub use cosine::Cosine;
pub use exponential::Exponential;
pub use linear_warmup::LinearWarmup;
pub use multi_step::MultiStep;
pub use one_cycle::OneCycle;
pub use reduce_on_plateau::{Goal, ReduceOnPlateau};
pub use sequential::Sequential;
pub use step::Step;

use taskweave_kernels::Stateful;

/// A learning rate over time. What a schedule remembers is host values; it saves no tensors.
///
/// # Example
/// A schedule is a type with these two methods and those of [`Stateful`].
/// ```
/// use taskweave_cotrain::rate::Rate;
/// use taskweave_kernels::{Result, State, Stateful};
///
/// /// The base rate divided by the root of the time.
/// struct InverseRoot;
///
/// impl Rate for InverseRoot {
///     fn rate(&self, base: f64, time: u64) -> f64 {
///         base / ((time + 1) as f64).sqrt()
///     }
/// }
///
/// impl Stateful for InverseRoot {
///     fn save(&self) -> Result<State> {
///         State::of(&())
///     }
///     fn restore(&mut self, state: &State) -> Result<()> {
///         state.read("InverseRoot")
///     }
/// }
///
/// assert_eq!(InverseRoot.rate(0.1, 3), 0.05);
/// ```
pub trait Rate: Stateful + Send {
    /// The rate at `time`, counted from 0, where `base` is the rate that training was set up with.
    fn rate(&self, base: f64, time: u64) -> f64;

    /// Takes note of the metric reached at the end of `time`. Schedules that follow the time alone ignore it.
    fn observe(&mut self, _time: u64, _metric: f64) {}
}
