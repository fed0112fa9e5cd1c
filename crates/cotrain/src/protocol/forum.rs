//! FORUM: task weights and network together, as one problem with a constraint and first derivatives only.
//!
//! The problem is
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
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::weighting::{Normalize, barrier_weights};
use taskweave_loss::{Gramian, Jacobian};

use super::shares::same_tasks;
use super::trained::{Trained, through_softmax};
use super::{Batches, Needs, Protocol};
use crate::range;
use crate::remembers::remembers;
use crate::{Heads, Over, Part, Step, StepReport, Weighed};

const NAME: &str = "forum";

/// The name of the row of q among those of the tasks.
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
        if !matches!(config.normalize, Normalize::None | Normalize::L2) {
            let found = format!("{:?}", config.normalize);
            return Err(Error::parameter("normalize", "none or l2", found));
        }
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
        let gap =
            weighed.losses.try_map(|task, loss| Ok::<_, Error>(loss - solved.require("task", task)?))?;
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
            let block =
                gap.get(name).cloned().map_or_else(|| Ok(param.var.zeros_like()?.into()), Ok::<_, Error>);
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

remembers!(Forum, seen);

#[cfg(test)]
mod tests {
    use super::super::quadratic::{Point, close, differences, dot, point, samples, step, weights};
    use super::*;

    fn softmax(alpha: [f64; 2]) -> [f64; 2] {
        let first = 1.0 / (1.0 + (alpha[1] - alpha[0]).exp());
        [first, 1.0 - first]
    }

    /// d by brute force: the least of the dual over λ, with ν from its formula.
    fn brute(upper: [Point; 2], gap: &[f64], of_alpha: [f64; 2], speed: f64) -> (f64, f64) {
        let square = dot(gap, gap) + dot(&of_alpha, &of_alpha);
        let at = |lambda: f64| {
            let g: Vec<f64> = (0..5).map(|i| lambda * upper[0][i] + (1.0 - lambda) * upper[1][i]).collect();
            let nu = (speed - dot(&g, gap) / square).max(0.0);
            let d: Vec<f64> = g.iter().zip(gap).map(|(g, q)| g + nu * q).collect();
            (0.5 * (dot(&d, &d) + nu * nu * dot(&of_alpha, &of_alpha)) - nu * speed * square, nu)
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..200 {
            let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if at(a).0 < at(b).0 { high = b } else { low = a }
        }
        (low, at(low).1)
    }

    #[test]
    fn the_update_is_that_of_the_constrained_problem() {
        for (seed, speed) in [(0, 0.1), (10, 0.1), (20, 2.0), (30, 5.0)] {
            let (mut step, params) = step(0.05);
            let (train, upper) = (samples(seed, 9), samples(seed + 1, 7));
            let at = point(&params);
            let config = ForumConfig { steps: 3, rate: Some(0.1), speed, ..ForumConfig::default() };
            let (alpha, w) = ([0.4, -0.3], softmax([0.4, -0.3]));
            // q falls to the solution of the lower level, which is held fixed in its derivative.
            let solved = train.descended(&at, w, 0.1, 3);
            let f =
                |alpha: [f64; 2], at: &Point| dot(&softmax(alpha), &[train.loss(0, at), train.loss(1, at)]);
            let of_alpha = differences(|alpha| f(alpha, &at) - f(alpha, &solved), alpha);
            let g = [train.gradient(0, &at), train.gradient(1, &at)];
            let gap: Vec<f64> = (0..5).map(|i| w[0] * g[0][i] + w[1] * g[1][i]).collect();
            let judges = [upper.gradient(0, &at), upper.gradient(1, &at)];
            let (lambda, nu) = brute(judges, &gap, of_alpha, speed);

            let (train_batch, upper_batch) = (train.batch(), upper.batch());
            let parts = [Part { batch: &train_batch, number: 0 }, Part { batch: &upper_batch, number: 1 }];
            let found = Forum::new(config).unwrap().update(&mut step, parts, &weights(w)).unwrap();
            let d: Vec<f64> =
                (0..5).map(|i| lambda * judges[0][i] + (1.0 - lambda) * judges[1][i] + nu * gap[i]).collect();
            let blocks = found.weighed.gradient.values().map(|block| block.values().flatten_all().unwrap());
            let direction: Vec<f64> = blocks.flat_map(|block| block.to_vec1::<f64>().unwrap()).collect();
            close(&direction, &d, 1e-6);
            let slopes: Vec<f64> = found.slopes.values().copied().collect();
            close(&slopes, &of_alpha.map(|slope| nu * slope), 1e-6);
            // q falls at the speed that was asked for.
            let falls = dot(&direction, &gap) + dot(&slopes, &of_alpha);
            assert!(falls >= speed * (dot(&gap, &gap) + dot(&of_alpha, &of_alpha)) - 1e-6, "{falls}");
            assert_eq!(point(&params), at);
        }
    }

    #[test]
    fn the_network_takes_the_update_and_lambda_follows_more_slowly() {
        let (mut step, params) = step(0.05);
        let mut forum = Forum::new(ForumConfig::default()).unwrap();
        for i in 0..3 {
            let (train, upper) = ([samples(2 * i, 9).batch()], [samples(2 * i + 1, 7).batch()]);
            let before = point(&params);
            let parts = [Part { batch: &train[0], number: 0 }, Part { batch: &upper[0], number: 1 }];
            let logits = forum.seen.logits.of(step.tasks(), 0.0, NAME).unwrap();
            let known = forum.seen.mixture.clone();
            let update = forum.update(&mut step, parts, &logits.softmax()).unwrap();
            let blocks = update.weighed.gradient.values().map(|block| block.values().flatten_all().unwrap());
            let d: Vec<f64> = blocks.flat_map(|block| block.to_vec1::<f64>().unwrap()).collect();
            forum.step(&mut step, &Batches { train: &train, upper: &upper }).unwrap();
            let moved: Vec<f64> = before.iter().zip(&d).map(|(x, d)| x - 0.05 * d).collect();
            close(&point(&params), &moved, 1e-12);
            let sum: f64 = forum.seen.mixture.values().sum();
            assert!((sum - 1.0).abs() < 1e-9);
            if i > 0 {
                let most = (i as f64 + 1.0).powf(-0.75) + 1e-9;
                assert!((forum.seen.mixture["a"] - known["a"]).abs() <= most);
            }
        }
    }

    #[test]
    fn without_labels_of_the_upper_level_only_the_gap_falls() {
        let (mut step, params) = step(0.05);
        let train = samples(0, 9);
        let before = point(&params);
        let mut blank = samples(1, 7).batch();
        blank.targets = Named::default();
        let mut forum = Forum::new(ForumConfig { speed: 0.4, ..ForumConfig::default() }).unwrap();
        forum.step(&mut step, &Batches { train: &[train.batch()], upper: &[blank] }).unwrap();
        close(&point(&params), &train.descended(&before, [0.5; 2], 0.05 * 0.4, 1), 1e-12);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let base = ForumConfig::default();
        for config in [
            ForumConfig { steps: 0, ..base },
            ForumConfig { rate: Some(-0.1), ..base },
            ForumConfig { lr: f64::NAN, ..base },
            ForumConfig { speed: -0.1, ..base },
            ForumConfig { beta: 1.5, ..base },
        ] {
            assert!(matches!(Forum::new(config), Err(Error::Parameter { .. })));
        }
    }
}
