//! Auto-λ: task weights that serve chosen primary tasks, by one step of look-ahead.
//!
//! The problem is
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
use taskweave_kernels::{Error, Named, Result};

use super::trained::Trained;
use super::{Batches, Needs, Protocol};
use crate::range;
use crate::remembers::remembers;
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

remembers!(AutoLambda, weights);

#[cfg(test)]
mod tests {
    use super::super::quadratic::{Samples, close, differences, point, samples, step, weights};
    use super::*;

    fn values(named: &Named<f64>) -> Vec<f64> {
        named.values().copied().collect()
    }

    /// The loss where a step leads is quadratic in the weights, so that central differences of it are exact.
    #[test]
    fn slopes_are_those_of_the_bilevel_objective() {
        for (primary, rate) in
            [(vec!["a".to_string()], Some(0.2)), (vec![], None), (vec!["b".into(), "a".into()], None)]
        {
            let (mut step, params) = step(0.1);
            let (train, upper) = (samples(0, 9), samples(1, 7));
            let (before, eta) = (point(&params), rate.unwrap_or(0.1));
            let config = AutoLambdaConfig { primary: primary.clone(), rate, ..AutoLambdaConfig::default() };
            let objective = |w: [f64; 2]| {
                let ahead = train.descended(&before, w, eta, 1);
                let of =
                    |task: usize| if primary == ["a"] && task == 1 { 0.0 } else { upper.loss(task, &ahead) };
                of(0) + of(1)
            };
            let (train_batch, upper_batch) = (train.batch(), upper.batch());
            let parts = [Part { batch: &train_batch, number: 0 }, Part { batch: &upper_batch, number: 1 }];
            let protocol = AutoLambda::new(config).unwrap();
            let found = protocol.slopes(&mut step, parts, &weights([0.3, 0.8])).unwrap();
            close(&values(&found), &differences(objective, [0.3, 0.8]), 1e-8);
            assert_eq!(point(&params), before);
        }
    }

    #[test]
    fn the_network_learns_by_the_new_weights() {
        let (mut step, params) = step(0.1);
        let (train, upper) = (samples(0, 9), samples(1, 7));
        let before = point(&params);
        let mut protocol =
            AutoLambda::new(AutoLambdaConfig { lr: 0.05, ..AutoLambdaConfig::default() }).unwrap();
        let batches = (&[train.batch()], &[upper.batch()]);
        let report = protocol.step(&mut step, &Batches { train: batches.0, upper: batches.1 }).unwrap();
        let w = values(&report.weights);
        // The first step of Adam has the length of its rate.
        assert!(w.iter().all(|w| ((w - 0.1).abs() - 0.05).abs() < 1e-6), "{w:?}");
        close(&point(&params), &train.descended(&before, [w[0], w[1]], 0.1, 1), 1e-12);
        assert_eq!(step.done(), 1);
    }

    /// The second task's labels are those of the first, or their opposites.
    fn labeled(seed: u64, size: usize, sign: f64) -> Samples {
        let mut drawn = samples(seed, size);
        for (x, y) in &mut drawn.0 {
            let truth = x[0] - 2.0 * x[1] + 0.5 * x[2];
            *y = [truth, sign * truth];
        }
        drawn
    }

    #[test]
    fn weights_stay_above_their_bound() {
        let run = |bound: Bound| {
            let (mut step, _) = step(0.1);
            let config =
                AutoLambdaConfig { primary: vec!["a".into()], lr: 0.3, bound, ..AutoLambdaConfig::default() };
            let (mut protocol, mut least) = (AutoLambda::new(config).unwrap(), f64::INFINITY);
            for i in 0..10 {
                let of = |part: u64| [labeled(2 * i + part, 8, -1.0).batch()];
                let report = protocol.step(&mut step, &Batches { train: &of(0), upper: &of(1) }).unwrap();
                least = values(&report.weights).into_iter().fold(least, f64::min);
            }
            least
        };
        assert_eq!(run(Bound::Zero), 0.0);
        assert!(run(Bound::None) < 0.0);
    }

    #[test]
    fn an_unknown_primary_task_is_named_and_nothing_changes() {
        let (mut step, params) = step(0.1);
        let before = point(&params);
        let config = AutoLambdaConfig { primary: vec!["c".into()], ..AutoLambdaConfig::default() };
        let batches = (&[samples(0, 9).batch()], &[samples(1, 7).batch()]);
        let mut protocol = AutoLambda::new(config).unwrap();
        let error = protocol.step(&mut step, &Batches { train: batches.0, upper: batches.1 }).unwrap_err();
        assert_eq!(error.to_string(), r#"unknown primary task `c`: known are ["a", "b"]"#);
        assert_eq!(point(&params), before);
        assert!(matches!(
            AutoLambda::new(AutoLambdaConfig { epsilon: 0.0, ..AutoLambdaConfig::default() }),
            Err(Error::Parameter { .. })
        ));
        assert!(matches!(
            AutoLambda::new(AutoLambdaConfig { rate: Some(-1.0), ..AutoLambdaConfig::default() }),
            Err(Error::Parameter { .. })
        ));
    }

    /// On one shared vector, 3 seeds.
    #[test]
    fn a_harmful_task_loses_its_weight_and_a_helpful_one_gains() {
        let run = |seed: u64, sign: f64, lr: f64| {
            let (mut step, params) = step(0.1);
            let config = AutoLambdaConfig {
                primary: vec!["a".into()],
                initial: 0.5,
                lr,
                ..AutoLambdaConfig::default()
            };
            let (mut protocol, mut last) = (AutoLambda::new(config).unwrap(), weights([0.5; 2]));
            for i in 0..200 {
                let of = |part: u64| [labeled(1000 * seed + 2 * i + part, 8, sign).batch()];
                let report = protocol.step(&mut step, &Batches { train: &of(0), upper: &of(1) }).unwrap();
                last = report.weights;
            }
            (last["b"], labeled(99, 100, sign).loss(0, &point(&params)))
        };
        for seed in 0..3 {
            let (harmful, loss) = run(seed, -1.0, 0.01);
            let (_, unweighed) = run(seed, -1.0, 0.0);
            assert!(
                harmful < 0.05 && loss < 0.1 && unweighed > 1.0,
                "λ {harmful}, loss {loss} and {unweighed}"
            );
            let (helpful, _) = run(seed, 1.0, 0.01);
            assert!(helpful > 0.55, "λ {helpful}");
        }
    }
}
