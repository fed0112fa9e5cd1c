//! Step protocols: what is done with which batches in one step of a training.
//!
//! | protocol | batches: training + upper level | what it does | reference |
//! | --- | --- | --- | --- |
//! | [`Plain`] | n + 0 | the ordinary step, over n batches as if they were one | – |
//! | [`Modo`] | 3 + 0 | the shortest vector of the hull, by double sampling | Chen et al., NeurIPS 2023 |
//! | [`SdmGrad`] | 2·pairs + 1, + 0 | the same near a preferred direction, by several inner steps | Xiao et al., NeurIPS 2023 |
//! | [`AutoLambda`] | 1 + 1 | task weights by one step of look-ahead, for chosen primary tasks | Liu et al., TMLR 2022 |
//! | [`Moml`] | 1 + 1 | task weights by look-ahead, for all tasks by MGDA | Ye et al., NeurIPS 2021 |
//! | [`Forum`] | 1 + 1 | the same without second derivatives, by the value function of the lower level | Ye et al., ECAI 2024 |
//!
//! The upper level is where task weights are judged: batches of other samples than those that the network learns from,
//! see [`TrainerBuilder::upper`](crate::TrainerBuilder::upper).
//!
//! A protocol is made of the primitives of [`Step`]: [`rows`](Step::rows), [`losses`](Step::losses),
//! [`weighed`](Step::weighed), [`aside`](Step::aside), [`shift`](Step::shift), [`descend`](Step::descend). All but
//! [`Plain`] weigh the tasks themselves and refuse a step with a scalarizer other than the sum, an aggregator, a schedule
//! or a sampling of tasks; clipping and optimizers are those of the step.

mod auto_lambda;
mod batches;
mod config;
mod forum;
mod modo;
mod moml;
mod plain;
#[cfg(test)]
mod quadratic;
mod sdmgrad;
mod shares;
mod trained;

pub use auto_lambda::{AutoLambda, AutoLambdaConfig, Bound};
pub use batches::{Batches, Needs};
pub use config::ProtocolConfig;
pub use forum::{Forum, ForumConfig};
pub use modo::{Modo, ModoConfig};
pub use moml::{Moml, MomlConfig};
pub use plain::Plain;
pub use sdmgrad::{PairScale, SdmGrad, SdmGradConfig};

use taskweave_kernels::{Result, Stateful};

use crate::{Step, StepReport};

/// What is done with which batches in one step.
///
/// # Example
/// The extragradient method: the gradient is taken where half a step leads, and applied where the step began. On
/// L = (x − 0)² with x = 1 and rate 0.1 the half step leads to 0.9, whose slope 1.8 leads from 1 to 0.82.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::protocol::{Batches, Needs, Protocol};
/// use taskweave_cotrain::{Heads, Part, Step, StepReport};
/// use taskweave_data::{Batch, Last};
/// use taskweave_heads::{Mode, Model, Params};
/// use taskweave_kernels::optim::{OptimizerConfig, Sgd};
/// use taskweave_kernels::{Named, Result, Rng, State, Stateful, Target};
/// use taskweave_loss::criterion::Mse;
///
/// struct Extragradient;
///
/// impl Protocol for Extragradient {
///     fn needs(&self) -> Needs {
///         Needs { train: 1, upper: 0, last: Last::Keep }
///     }
///     fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
///         let [batch] = batches.training("the extragradient method")?;
///         step.require_plain("the extragradient method")?;
///         let (part, ones) = (Part { batch, number: 0 }, Named::new([("zero", 1.0)])?);
///         let ahead = step.aside(|step| {
///             let here = step.weighed(part, &ones, Heads::Weighted)?;
///             step.shift(&here.gradient, -0.5 * step.rate())?;
///             step.weighed(part, &ones, Heads::Weighted)
///         })?;
///         step.descend(ahead)
///     }
/// }
/// impl Stateful for Extragradient {
///     fn save(&self) -> Result<State> {
///         State::of(&())
///     }
///     fn restore(&mut self, state: &State) -> Result<()> {
///         state.read("extragradient")
///     }
/// }
///
/// /// Predicts x · input.
/// struct Line(Tensor);
/// impl Model for Line {
///     fn tasks(&self) -> Vec<String> {
///         vec!["zero".into()]
///     }
///     fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
///         Named::new([("zero", inputs["x"].broadcast_mul(&self.0)?)])
///     }
///     fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
///         Ok(features.clone())
///     }
/// }
///
/// let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
/// let x = params.shared().get_with_hints(1, "x", candle_nn::Init::Const(1.0))?;
/// let mut step = Step::builder(Line(x.clone()), params)
///     .criterion("zero", Mse)
///     .optimizer(OptimizerConfig::Sgd(Sgd { lr: 0.1, ..Sgd::default() }))
///     .build()?;
/// let target = Target::new(Tensor::new(&[[0f64]], &Device::Cpu)?)?;
/// let batch = Batch {
///     inputs: Named::new([("x", Tensor::new(&[[1f64]], &Device::Cpu)?)])?,
///     targets: Named::new([("zero", target)])?,
///     indices: vec![0],
/// };
/// Extragradient.step(&mut step, &Batches { train: &[batch], upper: &[] })?;
/// assert!((x.to_vec1::<f64>()?[0] - 0.82).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Protocol: Send + Stateful {
    /// The batches that a step wants.
    fn needs(&self) -> Needs;

    /// Takes one step, and counts it. Where it fails, parameters and the protocol's own state are as before.
    ///
    /// # Errors
    /// Too few batches, a step with parts that the protocol would ignore, and those of [`Step::step`].
    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport>;
}
