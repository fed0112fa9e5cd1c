//! MoDo: task weights that follow the shortest vector of the gradients' hull, by steps without bias.
//!
//! With three independent batches z₁, z₂, z₃ and the Jacobian J(z) of the tasks (rows) by the shared parameters,
//!     w ← Π( w − γ (J(z₁) J(z₂)ᵀ w + ρ w) ),   Π the projection onto w ≥ 0, Σ w = 1,
//!     θ ← optimizer(θ, J(z₃)ᵀ w).
//! The expectation of J(z₁) J(z₂)ᵀ is J Jᵀ, while that of J(z) J(z)ᵀ is larger by the variance of the gradients, most so
//! for the noisiest task. w starts with equal weights.
//! Cost: 3 forward and K + 2 backward passes: K for z₁, one for J(z₂)ᵀw, one for the update; with unit heads one more
//! through the heads alone.
//! A task that z₁ or z₂ has no labels for keeps its weight.
//! Variants: the paper has all parameters in x; here, as in common code, w follows the shared ones, and `heads` says what
//! the others learn. The conference paper has no ρ; common code sets ρ = 0.1 and γ = 0.001.
//! Reference: Chen, Fernando, Ying and Chen, "Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization
//! and Conflict-Avoidance", NeurIPS 2023, algorithm 2, <https://arxiv.org/abs/2305.20057>.

use serde::{Deserialize, Serialize};
use taskweave_data::{Batch, Last};
use taskweave_kernels::{Named, Result};

use super::shares::Shares;
use super::{Batches, Needs, Protocol};
use crate::range;
use crate::remembers::remembers;
use crate::{Heads, Over, Part, Step, StepReport};

const NAME: &str = "modo";

/// The parameters of [`Modo`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `gamma` | 0.001 | ≥ 0 | γ, the step of the weights |
/// | `rho` | 0 | ≥ 0 | ρ, pull towards equal weights |
/// | `heads` | unit | | what the heads learn: their own loss, or that times w |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModoConfig {
    /// The step of the weights.
    pub gamma: f64,
    /// Pull towards equal weights.
    pub rho: f64,
    /// What the heads learn.
    pub heads: Heads,
}

impl Default for ModoConfig {
    fn default() -> Self {
        Self { gamma: 1e-3, rho: 0.0, heads: Heads::Unit }
    }
}

/// The shortest vector of the hull by double sampling.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{Modo, ModoConfig, Protocol};
/// let modo = Modo::new(ModoConfig { gamma: 0.1, ..ModoConfig::default() })?;
/// assert_eq!(modo.needs().train, 3);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Modo {
    config: ModoConfig,
    shares: Shares,
}

impl Modo {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a parameter out of range.
    pub fn new(config: ModoConfig) -> Result<Self> {
        range::not_negative("gamma", config.gamma)?;
        range::not_negative("rho", config.rho)?;
        Ok(Self { config, shares: Shares::default() })
    }

    /// The weights after their step.
    fn weights(&self, step: &mut Step, [first, second]: [&Batch; 2]) -> Result<Shares> {
        let shares = self.shares.of(step.tasks(), NAME)?;
        let (of_first, of_second) = (step.labeled(first)?, step.labeled(second)?);
        let both: Vec<String> = of_first.into_iter().filter(|task| of_second.contains(task)).collect();
        if both.is_empty() {
            return Ok(shares);
        }
        let rows = step.rows(Part { batch: first, number: 0 }, Over::Shared)?;
        let weights = shares.some(&both)?;
        let along = step.row(Part { batch: second, number: 1 }, &weights, Over::Shared)?;
        let products = Named::new(rows.rows().names().zip(rows.products(&along)?))?;
        let slopes = weights.try_map(|task, weight| {
            let product: f64 = products.require("task", task)?.iter().sum();
            Ok::<_, taskweave_kernels::Error>(self.config.gamma * (product + self.config.rho * weight))
        })?;
        shares.stepped(&slopes)
    }
}

impl Protocol for Modo {
    fn needs(&self) -> Needs {
        Needs { train: 3, upper: 0, last: Last::Drop }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let [first, second, third] = batches.training(NAME)?;
        let [] = batches.judging(NAME)?;
        step.require_plain(NAME)?;
        let shares = self.weights(step, [first, second])?;
        let part = Part { batch: third, number: 2 };
        let mut weighed = step.weighed(part, shares.values(), self.config.heads)?;
        weighed.samples += first.len() + second.len();
        let report = step.descend(weighed)?;
        self.shares = shares;
        Ok(report)
    }
}

remembers!(Modo, shares);

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use taskweave_kernels::{Error, Rng};

    use super::super::quadratic::{Point, Samples, close, dot, point, samples, step, weights};
    use super::*;

    fn shared(at: &Point) -> &[f64] {
        &at[..3]
    }

    /// The nearest point of the simplex of two weights.
    fn projected(y: [f64; 2]) -> [f64; 2] {
        let first = (0.5 * (y[0] - y[1] + 1.0)).clamp(0.0, 1.0);
        [first, 1.0 - first]
    }

    #[test]
    fn weights_and_parameters_follow_the_formula() {
        for heads in [Heads::Unit, Heads::Weighted] {
            let (mut step, params) = step(0.05);
            let mut modo = Modo::new(ModoConfig { gamma: 0.1, rho: 0.2, heads }).unwrap();
            let mut w = [0.5; 2];
            for round in 0..3 {
                let z = [0, 1, 2].map(|i| samples(10 * round + i, 6 + i as usize));
                let at = point(&params);
                let [first, second, third] =
                    [0, 1, 2].map(|i: usize| [0, 1].map(|task| z[i].gradient(task, &at)));
                let product =
                    |i: usize| (0..2).map(|j| w[j] * dot(shared(&first[i]), shared(&second[j]))).sum::<f64>();
                w = projected([0, 1].map(|i| w[i] - 0.1 * (product(i) + 0.2 * w[i])));
                let batches = z.map(|z| z.batch());
                let report = modo.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
                close(&report.weights.values().copied().collect::<Vec<_>>(), &w, 1e-12);
                assert_eq!(report.samples, 21);
                let own = if heads == Heads::Unit { [1.0; 2] } else { w };
                let expected: Vec<f64> = (0..5)
                    .map(|i| {
                        let slope = if i < 3 {
                            w[0] * third[0][i] + w[1] * third[1][i]
                        } else {
                            own[i - 3] * third[i - 3][i]
                        };
                        at[i] - 0.05 * slope
                    })
                    .collect();
                close(&point(&params), &expected, 1e-12);
            }
        }
    }

    /// The product of two batches has the right mean; that of one batch with itself is too large by the variance.
    #[test]
    fn double_sampling_is_without_bias_and_one_batch_twice_is_not() {
        let (mut step, params) = step(0.05);
        let all = samples(3, 40);
        // Near the minimum gradients are mostly noise.
        let near = all.descended(&point(&params), [0.5; 2], 0.1, 200);
        let theta = Tensor::from_vec(near[..3].to_vec(), (3, 1), &Device::Cpu).unwrap();
        params.named()["shared.theta"].var.set(&theta).unwrap();
        let at = point(&params);
        let truth = dot(shared(&all.gradient(1, &at)), shared(&all.gradient(1, &at)));
        let mut rng = Rng::new(7);
        let mut draw = || Samples((0..4).map(|_| all.0[rng.below(40)]).collect()).batch();
        let (mut double, mut single) = (Vec::new(), Vec::new());
        for _ in 0..1500 {
            let (first, second) = (draw(), draw());
            let first = step.rows(Part { batch: &first, number: 0 }, Over::Shared).unwrap();
            let second = step.rows(Part { batch: &second, number: 1 }, Over::Shared).unwrap();
            double.push(first.products(&second).unwrap()[1][1]);
            single.push(first.products(&first).unwrap()[1][1]);
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let error = |v: &[f64]| {
            (v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / (v.len() * (v.len() - 1)) as f64).sqrt()
        };
        assert!((mean(&double) - truth).abs() < 4.0 * error(&double), "{} for {truth}", mean(&double));
        assert!(mean(&single) - truth > 10.0 * error(&single), "{} for {truth}", mean(&single));
    }

    #[test]
    fn a_task_without_labels_keeps_its_weight() {
        let (mut step, _) = step(0.05);
        let mut modo = Modo::new(ModoConfig { gamma: 0.1, ..ModoConfig::default() }).unwrap();
        let mut batches = [0, 1, 2].map(|i| samples(i, 6).batch());
        modo.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
        let before = modo.shares.values().clone();
        batches[1].targets.remove("a");
        modo.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
        assert_eq!(modo.shares.values(), &before);
        assert_ne!(before, weights([0.5; 2]));
        batches[0].targets.remove("b");
        batches[2].targets.remove("a");
        let report = modo.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
        assert_eq!(modo.shares.values(), &before);
        assert_eq!(report.losses.names().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for config in [
            ModoConfig { gamma: -1.0, ..ModoConfig::default() },
            ModoConfig { rho: f64::NAN, ..ModoConfig::default() },
        ] {
            assert!(matches!(Modo::new(config), Err(Error::Parameter { .. })));
        }
    }
}
