//! SDMGrad: the shortest vector of the gradients' hull near a preferred direction, by steps without bias.
//!
//! With g₀ = Σ pᵢgᵢ the preferred direction and independent batches ξ, ξ′, ζ, the weights take S projected steps
//!     w ← Π( w − β J(ξ) (J(ξ′)ᵀ w + λ g₀(ξ′)) )   towards   argmin ½‖Jᵀw + λ g₀‖²   over   w ≥ 0, Σ w = 1,
//!     θ ← optimizer(θ, (J(ζ)ᵀ w + λ g₀(ζ)) / (1 + λ)).
//! λ = 0 is the shortest vector (MGDA), a large λ the preferred direction. w goes on from the step before.
//! The two factors are of different batches. Where they are of one, J(ξ)J(ξ)ᵀ is larger than J Jᵀ in expectation by the
//! variance of the gradients, and the weights end elsewhere.
//! Cost: 2·pairs + 1 forward and 2·pairs·K + 1 backward passes; the S steps are on the host.
//! A task that a pair of batches has no labels for keeps its weight in the steps of that pair.
//! Variants: the paper draws a new pair for each of the S steps, which is `pairs` = `steps`; common code uses one pair for
//! all of them, as the default does here. Dividing by 1 + λ is from the authors' code; their code also takes both factors
//! of one batch, which is the bias above, and adds momentum of 0.5 to the S steps, which is left out. `scale` `mean_norm`,
//! theirs, divides J(ξ)J(ξ′)ᵀ by the square of the mean norm, so that β has no unit; here that is the mean of
//! √(‖gᵢ(ξ)‖ ‖gᵢ(ξ′)‖), which noise does not bring down to 0, as it does √(gᵢ(ξ)·gᵢ(ξ′)). `none` is the paper's. The choice
//! of β = 0.5 at unit scale is ours.
//! Reference: Xiao, Ban and Ji, "Direction-oriented Multi-objective Learning: Simple and Provable Stochastic Algorithms",
//! NeurIPS 2023, algorithm 1, <https://arxiv.org/abs/2305.18409>.

use serde::{Deserialize, Serialize};
use taskweave_data::{Batch, Last};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::Jacobian;
use taskweave_loss::scalarizer::PerTask;

use super::shares::Shares;
use super::{Batches, Needs, Protocol};
use crate::range;
use crate::remembers::remembers;
use crate::{Heads, Over, Part, Step, StepReport};

const NAME: &str = "sdmgrad";

/// The parameters of [`SdmGrad`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lambda` | 0.3 | ≥ 0 | λ, pull towards the preferred direction |
/// | `preference` | equal | ≥ 0, one per task, not all 0 | p, scaled to sum 1 |
/// | `steps` | 20 | ≥ 1 | S, steps of the weights |
/// | `lr` | 0.5 | ≥ 0 | β, their size |
/// | `scale` | `mean_norm` | `mean_norm`, `none` | what the products are measured in |
/// | `pairs` | 1 | 1 ..= `steps` | pairs of batches, taken in turn by the steps |
/// | `heads` | unit | | what the heads learn: their own loss, or that times the weight of the task |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SdmGradConfig {
    /// Pull towards the preferred direction.
    pub lambda: f64,
    /// The preferred direction as weights of the tasks; equal weights where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<PerTask>,
    /// Steps of the weights.
    pub steps: usize,
    /// The size of these steps.
    pub lr: f64,
    /// What the products are measured in.
    pub scale: PairScale,
    /// Pairs of batches.
    pub pairs: usize,
    /// What the heads learn.
    pub heads: Heads,
}

impl Default for SdmGradConfig {
    fn default() -> Self {
        Self {
            lambda: 0.3,
            preference: None,
            steps: 20,
            lr: 0.5,
            scale: PairScale::MeanNorm,
            pairs: 1,
            heads: Heads::Unit,
        }
    }
}

/// What the products of a pair's gradients are measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairScale {
    /// The square of the mean of √(‖gᵢ(ξ)‖ ‖gᵢ(ξ′)‖) over the tasks.
    #[default]
    MeanNorm,
    /// Themselves.
    None,
}

/// The shortest vector of the hull near a preferred direction.
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{Protocol, SdmGrad, SdmGradConfig};
/// let protocol = SdmGrad::new(SdmGradConfig { pairs: 2, ..SdmGradConfig::default() })?;
/// assert_eq!(protocol.needs().train, 5); // two pairs, and one batch to learn from
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SdmGrad {
    config: SdmGradConfig,
    shares: Shares,
}

/// The products gᵢ(ξ)·gⱼ(ξ′) of the tasks that both batches of a pair have.
struct Pair {
    tasks: Vec<String>,
    products: Vec<Vec<f64>>,
}

impl SdmGrad {
    /// The protocol before its first step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range.
    pub fn new(config: SdmGradConfig) -> Result<Self> {
        range::not_negative("lambda", config.lambda)?;
        range::not_negative("lr", config.lr)?;
        range::at_least("steps", 1, config.steps as u64)?;
        if config.pairs == 0 || config.pairs > config.steps {
            let expected = format!("1 ..= {}, the steps", config.steps);
            return Err(Error::parameter("pairs", expected, config.pairs));
        }
        if let Some(preference) = &config.preference {
            check_preference(preference)?;
        }
        Ok(Self { config, shares: Shares::default() })
    }

    fn pair(&self, step: &mut Step, [first, second]: [Part<'_>; 2]) -> Result<Pair> {
        let first = step.rows(first, Over::Shared)?;
        let second = step.rows(second, Over::Shared)?;
        let all = Named::new(first.rows().names().zip(first.products(&second)?))?;
        let both = |task: &&str| second.rows().contains(task);
        let tasks: Vec<String> = first.rows().names().filter(both).map(String::from).collect();
        let mut products = Vec::new();
        for task in &tasks {
            let row = Named::new(second.rows().names().zip(all.require("task", task)?.iter().copied()))?;
            products
                .push(tasks.iter().map(|other| row.require("task", other).copied()).collect::<Result<_>>()?);
        }
        let [lengths, others] = [lengths(&first)?, lengths(&second)?];
        let mut mean = 0.0;
        for task in &tasks {
            let square = lengths.require("task", task)? * others.require("task", task)?;
            mean += square.sqrt() / tasks.len() as f64;
        }
        Ok(self.scaled(Pair { tasks, products }, mean))
    }

    fn scaled(&self, pair: Pair, mean: f64) -> Pair {
        match self.config.scale == PairScale::MeanNorm && mean > 0.0 {
            true => {
                let row = |row: &Vec<f64>| row.iter().map(|product| product / mean / mean).collect();
                Pair { products: pair.products.iter().map(row).collect(), tasks: pair.tasks }
            }
            false => pair,
        }
    }

    fn preference(&self, tasks: &[String]) -> Result<Named<f64>> {
        let equal = Named::new(tasks.iter().map(|task| (task.clone(), 1.0)))?;
        let raw = match &self.config.preference {
            Some(preference) => preference.of("preference", &equal)?,
            None => equal,
        };
        let sum: f64 = raw.values().sum();
        if sum <= 0.0 || !sum.is_finite() {
            return Err(Error::parameter("sum of the preference", "a number > 0", sum));
        }
        Ok(raw.map(|_, weight| weight / sum))
    }

    /// One step of the weights: w − β M (w + λ p), projected.
    fn stepped(&self, shares: &Shares, pair: &Pair, preference: &Named<f64>) -> Result<Shares> {
        let weights = shares.some(&pair.tasks)?;
        let mut sums = Vec::new();
        for (task, weight) in weights.iter() {
            sums.push(weight + self.config.lambda * preference.require("task", task)?);
        }
        let slope = |row: &Vec<f64>| self.config.lr * row.iter().zip(&sums).map(|(m, s)| m * s).sum::<f64>();
        shares.stepped(&Named::new(pair.tasks.iter().cloned().zip(pair.products.iter().map(slope)))?)
    }

    fn weights(&self, step: &mut Step, pairs: &[Batch], preference: &Named<f64>) -> Result<Shares> {
        let mut shares = self.shares.of(step.tasks(), NAME)?;
        let mut known = Vec::new();
        for (i, pair) in pairs.chunks_exact(2).enumerate() {
            let part = |j: usize| Part { batch: &pair[j], number: 2 * i + j };
            known.push(self.pair(step, [part(0), part(1)])?);
        }
        for pair in known.iter().cycle().take(self.config.steps) {
            shares = self.stepped(&shares, pair, preference)?;
        }
        Ok(shares)
    }
}

impl Protocol for SdmGrad {
    fn needs(&self) -> Needs {
        Needs { train: 2 * self.config.pairs + 1, upper: 0, last: Last::Drop }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let wanted = self.needs().train;
        let (Some((last, pairs)), true) = (batches.train.split_last(), batches.train.len() == wanted) else {
            let what = format!("training batches of a step of {NAME}");
            return Err(Error::parameter(what, wanted.to_string(), batches.train.len()));
        };
        let [] = batches.judging(NAME)?;
        step.require_plain(NAME)?;
        let preference = self.preference(step.tasks())?;
        let shares = self.weights(step, pairs, &preference)?;
        let lambda = self.config.lambda;
        let weights = shares.values().try_map(|task, weight| {
            Ok::<_, Error>((weight + lambda * preference.require("task", task)?) / (1.0 + lambda))
        })?;
        let part = Part { batch: last, number: pairs.len() };
        let mut weighed = step.weighed(part, &weights, self.config.heads)?;
        weighed.samples += pairs.iter().map(Batch::len).sum::<usize>();
        let report = step.descend(weighed)?;
        self.shares = shares;
        Ok(report)
    }
}

remembers!(SdmGrad, shares);

/// The norm of every task's gradient.
fn lengths(rows: &Jacobian) -> Result<Named<f64>> {
    Named::new(rows.rows().names().map(String::from).zip(rows.gramian()?.norms()))
}

fn check_preference(preference: &PerTask) -> Result<()> {
    match preference {
        PerTask::Listed(weights) => {
            weights.iter().try_for_each(|weight| range::not_negative("preference", *weight))
        }
        PerTask::Named(weights) => weights
            .iter()
            .try_for_each(|(task, weight)| range::not_negative(&format!("preference of `{task}`"), *weight)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::quadratic::{Samples, close, dot, point, samples, step, weights};
    use super::*;

    type Products = [[f64; 2]; 2];

    /// The products of two batches' gradients, and the mean norm that they are measured in.
    fn products(first: &Samples, second: &Samples, at: &[f64; 5]) -> (Products, f64) {
        let g = |z: &Samples, task: usize| z.gradient(task, at);
        let norm = |z: &Samples, task: usize| dot(&g(z, task)[..3], &g(z, task)[..3]).sqrt();
        let mean = [0, 1].map(|i| (norm(first, i) * norm(second, i)).sqrt()).iter().sum::<f64>() / 2.0;
        ([0, 1].map(|i| [0, 1].map(|j| dot(&g(first, i)[..3], &g(second, j)[..3]))), mean)
    }

    /// The weights after the steps, by the formula.
    fn expected(config: &SdmGradConfig, pairs: &[(Products, f64)], p: [f64; 2]) -> [f64; 2] {
        let mut w = [0.5; 2];
        for step in 0..config.steps {
            let (m, norm) = pairs[step % pairs.len()];
            let unit = if config.scale == PairScale::MeanNorm { norm * norm } else { 1.0 };
            let y = [0, 1].map(|i| {
                let slope: f64 = (0..2).map(|j| m[i][j] * (w[j] + config.lambda * p[j])).sum();
                w[i] - config.lr * slope / unit
            });
            let first = (0.5 * (y[0] - y[1] + 1.0)).clamp(0.0, 1.0);
            w = [first, 1.0 - first];
        }
        w
    }

    #[test]
    fn weights_and_parameters_follow_the_formula_with_two_different_batches() {
        for (scale, pairs, lr) in [(PairScale::MeanNorm, 1, 0.05), (PairScale::None, 2, 0.02)] {
            let config = SdmGradConfig {
                preference: Some(PerTask::Listed(vec![2.0, 1.0])),
                steps: 7,
                lr,
                scale,
                pairs,
                heads: Heads::Weighted,
                ..SdmGradConfig::default()
            };
            let p = [2.0 / 3.0, 1.0 / 3.0];
            let (mut step, params) = step(0.05);
            let z: Vec<Samples> = (0..2 * pairs as u64 + 1).map(|i| samples(i, 6)).collect();
            let at = point(&params);
            let known: Vec<_> = (0..pairs).map(|i| products(&z[2 * i], &z[2 * i + 1], &at)).collect();
            let w = expected(&config, &known, p);
            let aliased: Vec<_> = (0..pairs).map(|i| products(&z[2 * i], &z[2 * i], &at)).collect();
            let wrong = expected(&config, &aliased, p);
            assert!((w[0] - wrong[0]).abs() > 1e-3, "one batch twice would pass: {w:?} and {wrong:?}");

            let batches: Vec<Batch> = z.iter().map(Samples::batch).collect();
            let mut protocol = SdmGrad::new(config).unwrap();
            let report = protocol.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
            close(&protocol.shares.values().values().copied().collect::<Vec<_>>(), &w, 1e-12);
            let effective = [0, 1].map(|i| (w[i] + 0.3 * p[i]) / 1.3);
            assert!((effective[0] + effective[1] - 1.0).abs() < 1e-12);
            close(&report.weights.values().copied().collect::<Vec<_>>(), &effective, 1e-12);
            let last = &z[2 * pairs];
            let g = [last.gradient(0, &at), last.gradient(1, &at)];
            let moved: Vec<f64> =
                (0..5).map(|i| at[i] - 0.05 * (effective[0] * g[0][i] + effective[1] * g[1][i])).collect();
            close(&point(&params), &moved, 1e-12);
        }
    }

    #[test]
    fn a_large_lambda_is_the_preferred_direction() {
        let config = SdmGradConfig { lambda: 1e9, ..SdmGradConfig::default() };
        let (mut step, _) = step(0.05);
        let batches = [0, 1, 2].map(|i| samples(i, 6).batch());
        let mut protocol = SdmGrad::new(config).unwrap();
        let report = protocol.step(&mut step, &Batches { train: &batches, upper: &[] }).unwrap();
        close(&report.weights.values().copied().collect::<Vec<_>>(), &[0.5; 2], 1e-8);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let base = SdmGradConfig::default;
        for config in [
            SdmGradConfig { lambda: -0.1, ..base() },
            SdmGradConfig { lr: f64::INFINITY, ..base() },
            SdmGradConfig { steps: 0, ..base() },
            SdmGradConfig { pairs: 0, ..base() },
            SdmGradConfig { pairs: 21, ..base() },
            SdmGradConfig { preference: Some(PerTask::Listed(vec![1.0, -1.0])), ..base() },
            SdmGradConfig { preference: Some(PerTask::Named(weights([1.0, f64::NAN]))), ..base() },
        ] {
            assert!(matches!(SdmGrad::new(config), Err(Error::Parameter { .. })));
        }
        let refused = |preference: Vec<f64>| {
            let config = SdmGradConfig { preference: Some(PerTask::Listed(preference)), ..base() };
            let batches = [0, 1, 2].map(|i| samples(i, 6).batch());
            let (mut step, _) = step(0.05);
            SdmGrad::new(config)
                .unwrap()
                .step(&mut step, &Batches { train: &batches, upper: &[] })
                .unwrap_err()
        };
        assert!(matches!(refused(vec![0.0, 0.0]), Error::Parameter { .. }));
        assert!(matches!(refused(vec![1.0]), Error::Shape { .. }));
    }
}
