//! GO4Align: tasks whose weights are alike form a group and share one weight.
//!
//! At every step, with p = 1/K at first,
//!     pᵢ ← pᵢ exp(−η Lᵢ), normalized;   vᵢ = pᵢ Σ Lⱼ / Lᵢ;   value = Σ wᵢLᵢ with wᵢ the mean of v over the group of i
//! and no gradient through w. The groups are those of k-means on the numbers vᵢ, with the least sum of squares of all
//! divisions: numbers in order are cut into runs, and the best cuts are found by dynamic programming. Cost: K² k on the host. Over
//! the tasks that are present; the others keep their p. Losses must be > 0.
//! Variants: as the authors' code, where k-means starts at random and may end elsewhere.
//! Reference: Shen et al., "GO4Align: Group Optimization for Multi-Task Alignment", NeurIPS 2024,
//! <https://arxiv.org/abs/2404.06486>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{above, softmax, weighed},
};
use crate::parameter;

/// One weight per group of tasks that are alike.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `groups` | 2 | ≥ 1 | how many groups, at most one per task |
/// | `step_size` | 0.0001 | ≥ 0 | η, how fast tasks with large losses lose weight |
///
/// # Errors
/// [`Error::Parameter`] for a loss that is not > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::Go4Align};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("a", loss(1.0)?), ("b", loss(3.0)?)])?;
/// let weights = scalarized(&mut Go4Align::new(2, 0.0)?, &losses)?.weights;
/// assert!((weights["a"] - 2.0).abs() < 1e-12 && (weights["b"] - 2.0 / 3.0).abs() < 1e-12); // ½ · 4 / L
/// let weights = scalarized(&mut Go4Align::new(1, 0.0)?, &losses)?.weights;
/// assert!(weights.values().all(|w| (w - 4.0 / 3.0).abs() < 1e-12)); // the mean of both
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Go4Align {
    groups: usize,
    step_size: f64,
    /// log p, up to a constant.
    logits: Named<f64>,
}

impl Go4Align {
    /// So many groups; losses times `step_size` are taken off log p.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no group or a size that is negative or not finite.
    pub fn new(groups: usize, step_size: f64) -> Result<Self> {
        if groups == 0 {
            return Err(Error::parameter("groups", "at least 1", 0));
        }
        let step_size = parameter::non_negative("step_size", step_size)?;
        Ok(Self { groups, step_size, logits: Named::default() })
    }
}

impl Scalarizer for Go4Align {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        let numbers = above(losses, 0.0)?;
        for (task, loss) in numbers.iter() {
            if !self.logits.contains(task) {
                self.logits.insert(task, 0.0)?;
            }
            *self.logits.require_mut("task", task)? -= self.step_size * loss;
        }
        let p = softmax(&numbers.map(|task, _| self.logits.get(task).copied().unwrap_or_default()));
        let sum: f64 = numbers.values().sum();
        let alone: Vec<f64> = numbers.iter().map(|(task, loss)| p[task] * sum / loss).collect();
        let shared = group_means(&alone, self.groups);
        weighed(losses, &Named::new(numbers.names().zip(shared))?)
    }
}

/// The mean of the group of each number, for the division into `groups` with the least sum of squares within them.
fn group_means(numbers: &[f64], groups: usize) -> Vec<f64> {
    let (count, mut order) = (numbers.len(), (0..numbers.len()).collect::<Vec<_>>());
    order.sort_by(|i, j| numbers[*i].total_cmp(&numbers[*j]));
    let sorted: Vec<f64> = order.iter().map(|i| numbers[*i]).collect();
    let mean = |run: &[f64]| run.iter().sum::<f64>() / run.len() as f64;
    let spread = |from: usize, to: usize| {
        let middle = mean(&sorted[from..to]);
        sorted[from..to].iter().map(|x| (x - middle).powi(2)).sum::<f64>()
    };
    // cuts[to] of the last round: where the last run of the best division of the first `to` begins.
    let mut least: Vec<f64> = (0..=count).map(|to| if to == 0 { 0.0 } else { spread(0, to) }).collect();
    let mut rounds = vec![vec![0; count + 1]];
    for _ in 1..groups.min(count) {
        let best = |to: usize| {
            let cuts = (0..to).map(|from| (least[from] + spread(from, to), from));
            cuts.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0))
        };
        let (next, cuts) = (0..=count).map(best).unzip();
        least = next;
        rounds.push(cuts);
    }
    let (mut means, mut to) = (vec![0.0; count], count);
    for cuts in rounds.iter().rev() {
        let from = cuts[to];
        order[from..to].iter().for_each(|i| means[*i] = mean(&sorted[from..to]));
        to = from;
    }
    means
}

impl Stateful for Go4Align {
    fn save(&self) -> Result<State> {
        State::of(&self.logits)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.logits = state.read("go4align")?;
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    groups: usize,
    step_size: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { groups: 2, step_size: 1e-4 }
    }
}

impl TryFrom<Fields> for Go4Align {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.groups, fields.step_size)
    }
}

impl From<Go4Align> for Fields {
    fn from(method: Go4Align) -> Self {
        Self { groups: method.groups, step_size: method.step_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_near_each_other_share_their_mean() {
        assert_eq!(group_means(&[10.0, 1.0, 2.0, 12.0, 3.0], 2), [11.0, 2.0, 2.0, 11.0, 2.0]);
        assert_eq!(group_means(&[10.0, 1.0, 2.0, 13.0], 3), [10.0, 1.5, 1.5, 13.0]);
        assert_eq!(group_means(&[4.0, 2.0], 5), [4.0, 2.0]);
        assert_eq!(group_means(&[4.0, 2.0], 1), [3.0, 3.0]);
    }
}
