//! FORUM: task weights and network together, as one problem with a constraint and first derivatives only.
//!
//!     minimize  (L₁(θ; upper), …, L_K(θ; upper))   over α and θ   with   q(α, θ) ≤ 0,   w = softmax(α)
//! where q says how far θ is from solving the lower level: with f(α, θ) = Σ wⱼLⱼ(θ; training) and θ̃ what S steps of
//! gradient descent of f from θ lead to,
//!     q = f(α, θ) − f(α, θ̃),   ∇q ≈ (∂f(α, θ)/∂α − ∂f(α, θ̃)/∂α, ∂f(α, θ)/∂θ),
//! θ̃ held fixed. The update d lets every upper loss fall as the shortest vector of the hull does, and q at a given speed:
//!     d = Σ λᵢ∇Lᵢ(upper) + ν∇q,   ν = max(speed − ∇q·Σλᵢ∇Lᵢ / ‖∇q‖², 0),
//! with λ̃ of the minimum, see [`barrier_weights`], and λ ← λ + β_k (λ̃ − λ), β_k = `beta` / (k + 1)^¾ at step k from 0.
//! θ takes its part of d by the step's optimizers, heads included, and α its part by Adam.
//! Cost: S + 3 forward and S + K + 1 backward passes; K + 1 rows of all parameters.
//! Without labels of the upper level ν = speed; a task that only one of the two batches has takes part there alone.
//! Variants: common code leaves out the ½ of the dual, as if the speed were half as large, adds 1e-8 to ‖∇q‖² and counts k
//! in epochs; here it is the paper's, with steps. `normalize` `l2`, as there, takes the upper gradients at length 1. The
//! paper moves α and θ at one rate; Adam for α is from common code. η of the inner steps is the rate of the step unless
//! `rate` says otherwise (common code: 0.1, S = 5).
//! Reference: Ye, Lin, Cao, Zhang and Tsang, "A First-Order Multi-Gradient Algorithm for Multi-Objective Bi-Level
//! Optimization", ECAI 2024, algorithm 1, <https://arxiv.org/abs/2401.09257>.

use serde::{Deserialize, Serialize};
use taskweave_data::Last;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, State, Stateful};
use taskweave_loss::weighting::{Normalize, barrier_weights};
use taskweave_loss::{Gramian, Jacobian};

use super::shares::same_tasks;
use super::trained::{Trained, through_softmax};
use super::{Batches, Needs, Protocol};
use crate::rate::range;
use crate::{Heads, Over, Part, Step, StepReport, Weighed};

const NAME: &str = "forum";

/// The name of the row of q among those of the tasks, which the name of no task begins with.
const GAP: &str = "\0gap";

/// The parameters of [`Forum`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `steps` | 5 | ≥ 1 | S, steps towards the solution of the lower level |
/// | `rate` | that of the step | ≥ 0 | η, their size |
/// | `lr` | 0.001 | ≥ 0 | learning rate of α |
/// | `speed` | 0.1 | ≥ 0 | how fast q has to fall along the update, relative to ‖∇q‖² |
/// | `beta` | 1 | in [0, 1] | how fast λ follows at the first step |
/// | `normalize` | `none` | `none`, `l2` | whether upper gradients are taken at length 1 |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForumConfig {
    /// Steps towards the solution of the lower level.
    pub steps: usize,
    /// Their size; the rate of the step where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Learning rate of α.
    pub lr: f64,
    /// How fast q has to fall, relative to the square of its gradient.
    pub speed: f64,
    /// How fast λ follows at the first step.
    pub beta: f64,
    /// Whether upper gradients are taken at length 1.
    pub normalize: Normalize,
}

impl Default for ForumConfig {
    fn default() -> Self {
        Self { steps: 5, rate: None, lr: 1e-3, speed: 0.1, beta: 1.0, normalize: Normalize::None }
    }
}

/// Task weights and network together, by first derivatives.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{Forum, ForumConfig, Protocol};
/// assert_eq!(Forum::new(ForumConfig::default())?.needs().upper, 1);
/// assert!(Forum::new(ForumConfig { speed: -0.1, ..ForumConfig::default() }).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Forum {
    config: ForumConfig,
    seen: Seen,
}

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    logits: Trained,
    /// λ.
    mixture: Named<f64>,
    steps: u64,
}

/// The update of one step.
pub(super) struct Update {
    pub(super) weighed: Weighed,
    /// The part of α.
    pub(super) slopes: Named<f64>,
    mixture: Named<f64>,
}

impl Forum {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range.
    pub fn new(config: ForumConfig) -> Result<Self> {
        range::at_least("steps", 1, config.steps as u64)?;
        config.rate.map_or(Ok(()), |rate| range::not_negative("rate", rate))?;
        range::not_negative("lr", config.lr)?;
        range::not_negative("speed", config.speed)?;
        range::not_negative("beta", config.beta)?;
        if config.beta > 1.0 {
            return Err(Error::parameter("beta", "a number in [0, 1]", config.beta));
        }
        Ok(Self { config, seen: Seen::default() })
    }

    /// The update of α and θ.
    pub(super) fn update(
        &self,
        step: &mut Step,
        [train, upper]: [Part<'_>; 2],
        weights: &Named<f64>,
    ) -> Result<Update> {
        let mut weighed = step.weighed(train, weights, Heads::Weighted)?;
        let solved = self.solved(step, train, weights)?;
        let gap = weighed.losses.try_map(|task, loss| Ok::<_, Error>(loss - solved.require("task", task)?))?;
        let slopes = through_softmax(&gap, weights)?;
        let rows = self.rows(step, upper, &weighed.gradient)?;
        let more: f64 = slopes.values().map(|slope| slope * slope).sum();
        let (mut mixture, nu) = self.mixture(step.tasks(), &rows, more)?;
        let mut factors = Vec::new();
        for name in rows.rows().names() {
            factors.push(if name == GAP { nu } else { *mixture.used.require("task", name)? });
        }
        weighed.gradient = rows.combined(&factors)?;
        weighed.samples = train.batch.len();
        let slopes = slopes.map(|_, slope| nu * slope);
        Ok(Update { weighed, slopes, mixture: std::mem::take(&mut mixture.kept) })
    }

    /// The training losses where S steps of gradient descent lead.
    fn solved(&self, step: &mut Step, train: Part<'_>, weights: &Named<f64>) -> Result<Named<f64>> {
        let rate = self.config.rate.unwrap_or(step.rate());
        step.aside(|step| {
            for _ in 0..self.config.steps {
                let inner = step.weighed(train, weights, Heads::Weighted)?;
                step.shift(&inner.gradient, -rate)?;
            }
            step.losses(train)
        })
    }

    /// The gradients of the upper losses, and last that of q by θ.
    fn rows(&self, step: &mut Step, upper: Part<'_>, gap: &Named<Gradient>) -> Result<Jacobian> {
        let mut rows = step.rows(upper, Over::All)?.rows().clone();
        let mut last = Named::default();
        for (name, param) in step.params().named().iter().filter(|(_, param)| param.kind.is_trained()) {
            let block = gap.get(name).cloned().map_or_else(|| Ok(param.var.zeros_like()?.into()), Ok::<_, Error>);
            last.insert(name, block?)?;
        }
        rows.insert(GAP, last)?;
        Jacobian::new(rows)
    }

    /// λ and ν, where `more` is the square of the part of ∇q by α.
    fn mixture(&self, tasks: &[String], rows: &Jacobian, more: f64) -> Result<(Mixture, f64)> {
        let gramian = rows.gramian()?;
        let last = gramian.len().saturating_sub(1);
        let unit = |(i, norm): (usize, &f64)| match self.config.normalize {
            Normalize::L2 if i < last && *norm > 0.0 => *norm,
            _ => 1.0,
        };
        let units: Vec<f64> = gramian.norms().iter().enumerate().map(unit).collect();
        let entry = |i: usize, j: usize| {
            gramian[(i, j)] / units[i] / units[j] + if i == last && j == last { more } else { 0.0 }
        };
        let scaled: Vec<Vec<f64>> = (0..=last).map(|i| (0..=last).map(|j| entry(i, j)).collect()).collect();
        let found = match last {
            0 => Vec::new(),
            _ => barrier_weights(&Gramian::new(gramian.tasks(), &scaled)?, self.config.speed)?.0,
        };
        let found = Named::new(gramian.tasks().map(String::from).zip(found))?;
        let mut mixture = self.followed(tasks, &found)?;
        let square = entry(last, last);
        let along: f64 = mixture.used.values().zip(0..).map(|(lambda, i)| lambda * entry(i, last)).sum();
        let nu = if square > 0.0 { (self.config.speed - along / square).max(0.0) } else { 0.0 };
        mixture.used.values_mut().zip(&units).for_each(|(lambda, unit)| *lambda /= unit);
        Ok((mixture, nu))
    }

    /// λ of all tasks, part of the way towards that of this step.
    fn followed(&self, tasks: &[String], found: &Named<f64>) -> Result<Mixture> {
        let mut kept = self.seen.mixture.clone();
        if kept.is_empty() {
            let share = 1.0 / tasks.len().max(1) as f64;
            kept = Named::new(tasks.iter().map(|task| (task.clone(), share)))?;
        }
        same_tasks(&kept, tasks, NAME)?;
        let speed = self.config.beta / (self.seen.steps as f64 + 1.0).powf(0.75);
        let mut sum = 0.0;
        for (task, lambda) in found.iter() {
            let place = kept.require_mut("task", task)?;
            *place += speed * (lambda - *place);
            sum += *place;
        }
        let used = found.try_map(|task, lambda| {
            let mean = *kept.require("task", task)?;
            Ok::<_, Error>(if sum > 0.0 { mean / sum } else { *lambda })
        })?;
        Ok(Mixture { kept, used })
    }
}

/// λ of all tasks, and of those of one upper batch, of sum 1.
struct Mixture {
    kept: Named<f64>,
    used: Named<f64>,
}

impl Protocol for Forum {
    fn needs(&self) -> Needs {
        Needs { train: 1, upper: 1, last: Last::Keep }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let ([train], [upper]) = (batches.training(NAME)?, batches.judging(NAME)?);
        let (train, upper) = (Part { batch: train, number: 0 }, Part { batch: upper, number: 1 });
        step.require_plain(NAME)?;
        let logits = self.seen.logits.of(step.tasks(), 0.0, NAME)?;
        let Update { weighed, slopes, mixture } = self.update(step, [train, upper], &logits.softmax())?;
        let logits = logits.stepped(&slopes, self.config.lr, f64::NEG_INFINITY)?;
        let report = step.descend(weighed)?;
        self.seen = Seen { logits, mixture, steps: self.seen.steps + 1 };
        Ok(report)
    }
}

impl Stateful for Forum {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.seen = state.read(NAME)?;
        Ok(())
    }
}
