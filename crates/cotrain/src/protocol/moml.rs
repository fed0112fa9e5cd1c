//! MOML: task weights that serve all tasks at once, by looking ahead and MGDA.
//!
//! The problem is
//!     minimize  (L₁(θ_S; upper), …, L_K(θ_S; upper))   over α,   w = softmax(α)
//!     θ₀ = θ,   θ_{s+1} = θ_s − η Σ wⱼ ∇Lⱼ(θ_s; training)   for s < S
//! The slopes of each upper loss with respect to w go backward through the S steps: v_S = ∇Lᵢ(θ_S; upper) and
//!     ∂/∂wⱼ −= η ∇Lⱼ(θ_s)·v_{s+1},   v_s = v_{s+1} − η H_s v_{s+1},   H_s = ∇² Σ wⱼLⱼ(θ_s),
//! where H v is the difference of the gradients at θ_s ± εv, ε = `epsilon` / ‖v‖; with S = 1 there is none of it. MGDA
//! makes one slope of α from those of all upper losses, and Adam takes a step against it. Then
//! θ ← optimizer(θ, ∇Σ wⱼLⱼ(θ; training)) with the new weights, heads included.
//! Cost: S + 2 + 2K(S − 1) forward passes and (S + 1)K + 1 + 2K(S − 1) backward passes; S · K rows of all parameters.
//! A training batch without labels of a task says nothing on its weight; so does an upper batch on that objective.
//! Variants: `normalize` `l2` takes the slopes of each objective at length 1, as common code does; `none` is the paper's.
//! The network goes on from θ by its own optimizer, so that the look-ahead stays a look-ahead; η is the learning rate of
//! the step unless `rate` says otherwise (common code: 0.1, and S = 1). The choice of Adam for α is that of common code.
//! Reference: Ye, Lin, Yue, Guo, Xiao and Zhang, "Multi-Objective Meta Learning", NeurIPS 2021, algorithm 1,
//! <https://proceedings.neurips.cc/paper/2021/hash/b23975176653284f1f7356ba5539cfcb-Abstract.html>.

use serde::{Deserialize, Serialize};
use taskweave_data::Last;
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::clip_norm;
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::weighting::{Mgda, Normalize};
use taskweave_loss::{Gramian, Jacobian, Weighting};

use super::trained::{Trained, through_softmax};
use super::{Batches, Needs, Protocol};
use crate::range;
use crate::remembers::remembers;
use crate::{Heads, Over, Part, Step, StepReport};

const NAME: &str = "moml";

/// The parameters of [`Moml`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `steps` | 1 | ≥ 1 | S, steps of the look-ahead |
/// | `lr` | 0.001 | ≥ 0 | learning rate of α |
/// | `rate` | that of the step | ≥ 0 | η, the size of a step of the look-ahead |
/// | `normalize` | `none` | `none`, `l2` | whether MGDA takes the slopes at length 1 |
/// | `epsilon` | 0.01 | > 0 | how far parameters are moved for second derivatives |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MomlConfig {
    /// Steps of the look-ahead.
    pub steps: usize,
    /// Learning rate of α.
    pub lr: f64,
    /// The size of a step of the look-ahead; that of the step where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Whether MGDA takes the slopes at length 1.
    pub normalize: Normalize,
    /// How far parameters are moved for second derivatives.
    pub epsilon: f64,
}

impl Default for MomlConfig {
    fn default() -> Self {
        Self { steps: 1, lr: 1e-3, rate: None, normalize: Normalize::None, epsilon: 0.01 }
    }
}

/// Task weights that serve all tasks at once.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{Moml, MomlConfig, Protocol};
/// assert_eq!(Moml::new(MomlConfig::default())?.needs().upper, 1);
/// assert!(Moml::new(MomlConfig { steps: 0, ..MomlConfig::default() }).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Moml {
    config: MomlConfig,
    logits: Trained,
}

impl Moml {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range.
    pub fn new(config: MomlConfig) -> Result<Self> {
        range::at_least("steps", 1, config.steps as u64)?;
        if !matches!(config.normalize, Normalize::None | Normalize::L2) {
            let found = format!("{:?}", config.normalize);
            return Err(Error::parameter("normalize", "none or l2", found));
        }
        range::not_negative("lr", config.lr)?;
        range::positive("epsilon", config.epsilon)?;
        config.rate.map_or(Ok(()), |rate| range::not_negative("rate", rate))?;
        Ok(Self { config, logits: Trained::default() })
    }

    /// The slope of each upper loss with respect to each weight.
    pub(super) fn slopes(
        &self,
        step: &mut Step,
        [train, upper]: [Part<'_>; 2],
        weights: &Named<f64>,
    ) -> Result<Named<Named<f64>>> {
        let rate = self.config.rate.unwrap_or(step.rate());
        step.aside(|step| {
            let mut way = Vec::new();
            for _ in 0..self.config.steps {
                let rows = step.rows(train, Over::All)?;
                step.shift(&sum(&rows, weights)?, -rate)?;
                way.push(rows);
            }
            let mut judged = step.rows(upper, Over::All)?;
            let mut slopes = judged.rows().map(|_, _| weights.map(|_, _| 0.0));
            for (at, rows) in way.iter().enumerate().rev() {
                step.shift(&sum(rows, weights)?, rate)?;
                for (slopes, products) in slopes.values_mut().zip(judged.products(rows)?) {
                    for (task, product) in rows.rows().names().zip(products) {
                        *slopes.require_mut("task", task)? -= rate * product;
                    }
                }
                // Without labels nothing has been differentiated, and the losses are as they were.
                if at > 0 && !rows.rows().is_empty() {
                    let back = |_: &str, v: &_| self.back(step, train, weights, v);
                    judged = Jacobian::new(judged.rows().try_map(back)?)?;
                }
            }
            Ok(slopes)
        })
    }

    /// v − η H v, of the weighted sum at the present parameters.
    fn back(
        &self,
        step: &mut Step,
        train: Part<'_>,
        weights: &Named<f64>,
        v: &Named<Gradient>,
    ) -> Result<Named<Gradient>> {
        let (_, length) = clip_norm(v, f64::MAX).map_err(|error| error.at(step.done()))?;
        if length == 0.0 {
            return Ok(v.clone());
        }
        let epsilon = self.config.epsilon / length;
        let mut gradient = |factor: f64| {
            let row = step.aside(|step| {
                step.shift(v, factor)?;
                step.row(train, weights, Over::All)
            })?;
            row.rows().require("row", "sum").cloned()
        };
        let rows = [("v", v.clone()), ("above", gradient(epsilon)?), ("below", gradient(-epsilon)?)];
        let part = self.config.rate.unwrap_or(step.rate()) / (2.0 * epsilon);
        Jacobian::new(Named::new(rows)?)?.combined(&[1.0, -part, part])
    }

    /// α after its step.
    fn stepped(&self, step: &mut Step, parts: [Part<'_>; 2]) -> Result<Trained> {
        let logits = self.logits.of(step.tasks(), 0.0, NAME)?;
        let weights = logits.softmax();
        let slopes = self.slopes(step, parts, &weights)?;
        if slopes.is_empty() {
            return Ok(logits);
        }
        let rows = slopes.try_map(|_, slopes| through_softmax(slopes, &weights))?;
        let shares = Mgda { normalize: self.config.normalize }.weights(&gramian(&rows)?)?;
        let mut slope = weights.map(|_, _| 0.0);
        for (row, share) in rows.values().zip(shares) {
            slope.values_mut().zip(row.values()).for_each(|(sum, part)| *sum += share * part);
        }
        logits.stepped(&slope, self.config.lr, f64::NEG_INFINITY)
    }
}

/// Σ wⱼ gⱼ of the rows that there are.
fn sum(rows: &Jacobian, weights: &Named<f64>) -> Result<Named<Gradient>> {
    let weight = |task: &str| weights.require("task", task).copied();
    rows.combined(&rows.rows().names().map(weight).collect::<Result<Vec<_>>>()?)
}

fn gramian(rows: &Named<Named<f64>>) -> Result<Gramian> {
    let dot = |a: &Named<f64>, b: &Named<f64>| a.values().zip(b.values()).map(|(a, b)| a * b).sum::<f64>();
    let products: Vec<Vec<f64>> = rows.values().map(|a| rows.values().map(|b| dot(a, b)).collect()).collect();
    Gramian::new(rows.names(), &products)
}

impl Protocol for Moml {
    fn needs(&self) -> Needs {
        Needs { train: 1, upper: 1, last: Last::Keep }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let ([train], [upper]) = (batches.training(NAME)?, batches.judging(NAME)?);
        let (train, upper) = (Part { batch: train, number: 0 }, Part { batch: upper, number: 1 });
        step.require_plain(NAME)?;
        let logits = self.stepped(step, [train, upper])?;
        let weighed = step.weighed(train, &logits.softmax(), Heads::Weighted)?;
        let report = step.descend(weighed)?;
        self.logits = logits;
        Ok(report)
    }
}

remembers!(Moml, logits);

#[cfg(test)]
mod tests {
    use taskweave_kernels::Error;

    use super::super::quadratic::{TASKS, close, differences, point, samples, step, weights};
    use super::*;

    /// Through one, two and four steps of the lower level, whose Hessian is not zero.
    #[test]
    fn slopes_are_those_of_the_bilevel_objectives() {
        for steps in [1, 2, 4] {
            let (mut step, params) = step(0.05);
            let (train, upper) = (samples(0, 9), samples(1, 7));
            let before = point(&params);
            let (train_batch, upper_batch) = (train.batch(), upper.batch());
            let parts = [Part { batch: &train_batch, number: 0 }, Part { batch: &upper_batch, number: 1 }];
            let protocol = Moml::new(MomlConfig { steps, ..MomlConfig::default() }).unwrap();
            let found = protocol.slopes(&mut step, parts, &weights([0.3, 0.7])).unwrap();
            for (task, name) in TASKS.into_iter().enumerate() {
                let objective = |w: [f64; 2]| upper.loss(task, &train.descended(&before, w, 0.05, steps));
                let found: Vec<f64> = found[name].values().copied().collect();
                // The objective is a polynomial of higher degree in w for more than one step.
                let tolerance = if steps == 1 { 1e-9 } else { 1e-6 };
                close(&found, &differences(objective, [0.3, 0.7]), tolerance);
            }
            assert_eq!(point(&params), before);
        }
    }

    #[test]
    fn weights_move_by_the_shortest_vector_of_the_slopes_and_the_network_follows() {
        let (mut step, params) = step(0.1);
        let (train, upper) = (samples(0, 9), samples(1, 7));
        let before = point(&params);
        let (train_batch, upper_batch) = ([train.batch()], [upper.batch()]);
        let mut protocol = Moml::new(MomlConfig { lr: 0.2, ..MomlConfig::default() }).unwrap();
        let parts = [Part { batch: &train_batch[0], number: 0 }, Part { batch: &upper_batch[0], number: 1 }];
        let slopes = protocol.slopes(&mut step, parts, &weights([0.5; 2])).unwrap();
        // Of two weights with the sum 1 only the difference counts: the slopes of α₁ are half of half of it.
        let along = TASKS.map(|task| 0.25 * (slopes[task]["a"] - slopes[task]["b"]));
        let chosen = if along[0] * along[1] < 0.0 {
            0.0
        } else {
            along[0].abs().min(along[1].abs()) * along[0].signum()
        };
        let report = protocol.step(&mut step, &Batches { train: &train_batch, upper: &upper_batch }).unwrap();
        // The first step of Adam has the length of its rate, against the slope.
        let alpha = if chosen == 0.0 { 0.0 } else { -0.2 * chosen.signum() };
        let first = 1.0 / (1.0 + (-2.0 * alpha).exp());
        let w: Vec<f64> = report.weights.values().copied().collect();
        close(&w, &[first, 1.0 - first], 1e-6);
        assert_ne!(chosen, 0.0, "the case says nothing");
        close(&point(&params), &train.descended(&before, [w[0], w[1]], 0.1, 1), 1e-12);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let base = MomlConfig::default();
        for config in [
            MomlConfig { steps: 0, ..base },
            MomlConfig { lr: -1.0, ..base },
            MomlConfig { epsilon: 0.0, ..base },
            MomlConfig { rate: Some(f64::NAN), ..base },
        ] {
            assert!(matches!(Moml::new(config), Err(Error::Parameter { .. })));
        }
    }
}
