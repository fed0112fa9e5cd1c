//! Auto-λ: task weights that serve chosen primary tasks, by one step of look-ahead.
//!
//!     minimize  Σ over primary i of Lᵢ(θ*(λ); upper batch)   over λ   with   θ*(λ) = argmin Σ λᵢ Lᵢ(θ; training batch)
//! With one gradient step θ′ = θ − η ∇Σ λᵢLᵢ(θ) in the place of θ*, and v = ∇ Σ primary Lᵢ(θ′; upper batch),
//!     ∂/∂λᵢ = −η ∇Lᵢ(θ)·v ≈ −η (Lᵢ(θ + εv) − Lᵢ(θ − εv)) / (2ε),   ε = `epsilon` / ‖v‖.
//! λ takes a step of Adam against it, then θ ← optimizer(θ, ∇Σ λᵢLᵢ(θ; training batch)), heads included.
//! Cost: 5 forward and 3 backward passes, whatever K is.
//! A task that the training batch has no labels for keeps its weight; without a primary task in the upper batch, all do.
//! Variants: λ is kept at `bound` 0 or above, since a negative weight trains a task uphill without end; the authors' code
//! has no such bound, which is `bound` `none`. η is the learning rate of the step unless `rate` says otherwise, and the
//! look-ahead is plain gradient descent, while the authors' code adds the momentum and decay of its SGD. λ is not
//! normalized, so that its scale is a scale of the learning rate.
//! Reference: Liu, James, Davison and Johns, "Auto-Lambda: Disentangling Dynamic Task Relationships", TMLR 2022,
//! algorithm 1, <https://arxiv.org/abs/2202.03091>.

use serde::{Deserialize, Serialize};
use taskweave_data::Last;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::clip_norm;
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::trained::Trained;
use super::{Batches, Needs, Protocol};
use crate::rate::range;
use crate::{Heads, Part, Step, StepReport};

const NAME: &str = "auto_lambda";

/// The parameters of [`AutoLambda`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `primary` | all | tasks of the model | the tasks that count |
/// | `initial` | 0.1 | ≥ 0 | λ of every task at the start |
/// | `lr` | 1e-4 | ≥ 0 | learning rate of λ |
/// | `rate` | that of the step | ≥ 0 | η, the step of the look-ahead |
/// | `epsilon` | 0.01 | > 0 | how far the two losses of the difference are moved |
/// | `bound` | `zero` | `zero`, `none` | how small λ may become |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoLambdaConfig {
    /// The tasks that count; all where it is empty.
    pub primary: Vec<String>,
    /// λ of every task at the start.
    pub initial: f64,
    /// Learning rate of λ.
    pub lr: f64,
    /// The step of the look-ahead; that of the step where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How far the two losses of the difference are moved.
    pub epsilon: f64,
    /// How small λ may become.
    pub bound: Bound,
}

impl Default for AutoLambdaConfig {
    fn default() -> Self {
        Self { primary: Vec::new(), initial: 0.1, lr: 1e-4, rate: None, epsilon: 0.01, bound: Bound::Zero }
    }
}

/// How small a task's weight may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Not negative.
    #[default]
    Zero,
    /// Any number.
    None,
}

/// Task weights that serve chosen primary tasks.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{AutoLambda, AutoLambdaConfig, Needs, Protocol};
/// use taskweave_data::Last;
/// let config = AutoLambdaConfig { primary: vec!["class".into()], ..AutoLambdaConfig::default() };
/// // One batch to learn from, one to judge by.
/// assert_eq!(AutoLambda::new(config)?.needs(), Needs { train: 1, upper: 1, last: Last::Keep });
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AutoLambda {
    config: AutoLambdaConfig,
    weights: Trained,
}

impl AutoLambda {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range.
    pub fn new(config: AutoLambdaConfig) -> Result<Self> {
        range::not_negative("initial", config.initial)?;
        range::not_negative("lr", config.lr)?;
        range::positive("epsilon", config.epsilon)?;
        config.rate.map_or(Ok(()), |rate| range::not_negative("rate", rate))?;
        Ok(Self { config, weights: Trained::default() })
    }

    /// 1 for each primary task.
    fn primary(&self, tasks: &[String]) -> Result<Named<f64>> {
        let chosen = if self.config.primary.is_empty() { tasks } else { &self.config.primary };
        if let Some(name) = chosen.iter().find(|task| !tasks.contains(task)) {
            let what = "primary task".into();
            return Err(Error::Unknown { what, name: name.clone(), known: tasks.to_vec() });
        }
        Named::new(chosen.iter().map(|task| (task.clone(), 1.0)))
    }

    /// The slope of the primary tasks' loss with respect to each weight.
    pub(super) fn slopes(
        &self,
        step: &mut Step,
        [train, upper]: [Part<'_>; 2],
        weights: &Named<f64>,
    ) -> Result<Named<f64>> {
        let (rate, primary) = (self.config.rate.unwrap_or(step.rate()), self.primary(step.tasks())?);
        let toward = step.aside(|step| {
            let ahead = step.weighed(train, weights, Heads::Weighted)?;
            step.shift(&ahead.gradient, -rate)?;
            Ok(step.weighed(upper, &primary, Heads::Weighted)?.gradient)
        })?;
        let (_, length) = clip_norm(&toward, f64::MAX).map_err(|error| error.at(step.done()))?;
        if length == 0.0 {
            return Ok(Named::default());
        }
        let epsilon = self.config.epsilon / length;
        let above = moved(step, train, &toward, epsilon)?;
        let below = moved(step, train, &toward, -epsilon)?;
        above.try_map(|task, above| Ok(-rate * (above - below.require("task", task)?) / (2.0 * epsilon)))
    }
}

/// The losses at θ + factor · direction.
fn moved(step: &mut Step, part: Part<'_>, along: &Named<Gradient>, factor: f64) -> Result<Named<f64>> {
    step.aside(|step| {
        step.shift(along, factor)?;
        step.losses(part)
    })
}

impl Protocol for AutoLambda {
    fn needs(&self) -> Needs {
        Needs { train: 1, upper: 1, last: Last::Keep }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let ([train], [upper]) = (batches.training(NAME)?, batches.judging(NAME)?);
        let (train, upper) = (Part { batch: train, number: 0 }, Part { batch: upper, number: 1 });
        step.require_plain(NAME)?;
        let weights = self.weights.of(step.tasks(), self.config.initial, NAME)?;
        let slopes = self.slopes(step, [train, upper], &weights.values())?;
        let least = if self.config.bound == Bound::Zero { 0.0 } else { f64::NEG_INFINITY };
        let weights = weights.stepped(&slopes, self.config.lr, least)?;
        let weighed = step.weighed(train, &weights.values(), Heads::Weighted)?;
        let report = step.descend(weighed)?;
        self.weights = weights;
        Ok(report)
    }
}

impl Stateful for AutoLambda {
    fn save(&self) -> Result<State> {
        State::of(&self.weights)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.weights = state.read(NAME)?;
        Ok(())
    }
}
