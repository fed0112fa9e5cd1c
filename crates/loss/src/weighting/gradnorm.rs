//! GradNorm: weights are trained so that a task that has fallen behind pulls harder.
//!
//! With nᵢ = ‖gᵢ‖, losses Lᵢ and those of the first step Lᵢ(0), the weights are trained on
//!     Σᵢ | wᵢnᵢ − n̄ rᵢ^α |,   n̄ = mean wᵢnᵢ,   rᵢ = (Lᵢ/Lᵢ(0)) / mean (Lⱼ/Lⱼ(0)),
//! where n̄ rᵢ^α counts as a constant: the slope is sign(wᵢnᵢ − n̄ rᵢ^α) nᵢ. One step of Adam per update; afterwards w ≥ 0
//! and Σ w = m. The update takes the weights from before that step, 1 at first. Cost: m numbers. Guarantees: Σ w = m.
//! Variants: the paper takes the norms at the last shared layer (wrap in `within` for that); here they are those of the
//! Gramian that is given. The paper does not name the optimizer of w, common code takes Adam, as here, or trains logits. Plain
//! steps would depend on the units of the losses. Nothing in the paper keeps a weight from becoming negative. A task that a
//! step lacks keeps its weight; those that are there keep the sum of theirs.
//! Reference: Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks", ICML
//! 2018, algorithm 1, <https://arxiv.org/abs/1711.02257>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Weighting, scaled::positive_losses};
use crate::{
    Gramian,
    adam::Trained,
    known_tasks::{self, KnownTasks},
    parameter,
};

/// Weights by relative progress, trained.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `alpha` | 1.5 | ≥ 0 | how much harder a task pulls that has fallen behind |
/// | `lr` | 0.025 | > 0 | learning rate of the weights |
///
/// # Errors
/// [`Error::Parameter`] where losses are missing or not > 0, [`Error::Shape`] for other tasks than before, or than were
/// [named](Weighting::prepare).
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{GradNorm, Weighting}};
/// let gramian = |losses: [f64; 2]| {
///     Gramian::new(["class", "mask"], &[[4.0, 0.0], [0.0, 4.0]])?.with_losses(losses.to_vec())
/// };
/// let mut gradnorm = GradNorm::new(1.5, 0.025)?;
/// assert_eq!(gradnorm.weights(&gramian([1.0, 1.0])?)?, [1.0, 1.0]);
/// gradnorm.weights(&gramian([1.0, 0.5])?)?;
/// let weights = gradnorm.weights(&gramian([1.0, 0.5])?)?;
/// assert!(weights[0] > 1.0 && (weights[0] + weights[1] - 2.0).abs() < 1e-12); // `class` has fallen behind
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct GradNorm {
    alpha: f64,
    lr: f64,
    seen: Seen,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    tasks: KnownTasks,
    /// The first loss of every known task that has had one.
    first: Vec<Option<f64>>,
    weights: Vec<Trained>,
}

impl GradNorm {
    /// Weights that follow the relative progress to the power of `alpha` with a learning rate.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an `alpha` that is negative or not finite, or an `lr` that is not a finite number > 0.
    pub fn new(alpha: f64, lr: f64) -> Result<Self> {
        Ok(Self {
            alpha: parameter::non_negative("alpha", alpha)?,
            lr: parameter::positive("lr", lr)?,
            seen: Seen::default(),
        })
    }

    /// Trains the weights of the tasks of one step, whose sum stays.
    fn train(&self, weights: &mut [Trained], norms: &[f64], left: &[f64]) {
        let (size, tasks) = (norms.len() as f64, norms.len());
        let before: f64 = weights.iter().map(|weight| weight.value).sum();
        let pulls: Vec<f64> = weights.iter().zip(norms).map(|(w, norm)| w.value * norm).collect();
        let mean = pulls.iter().sum::<f64>() / size;
        let all = left.iter().sum::<f64>() / size;
        for i in 0..tasks {
            let apart = pulls[i] - mean * (left[i] / all).powf(self.alpha);
            let sign = if apart == 0.0 { 0.0 } else { apart.signum() };
            weights[i].step(sign * norms[i], self.lr);
            weights[i].value = weights[i].value.max(0.0);
        }
        let sum: f64 = weights.iter().map(|weight| weight.value).sum();
        match sum > 0.0 {
            true => weights.iter_mut().for_each(|weight| weight.value *= before / sum),
            // A step so long that none is left: from the start again.
            false => weights.iter_mut().for_each(|weight| *weight = Trained::new(before / size)),
        }
    }
}

impl Weighting for GradNorm {
    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.seen.tasks.name(tasks)
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let losses = positive_losses("gradnorm", gramian)?;
        let (tasks, places) = self.seen.tasks.places("Gramian", gramian.tasks())?;
        let Seen { first, weights, .. } = &mut self.seen;
        first.resize(tasks.len(), None);
        weights.resize(tasks.len(), Trained::new(1.0));
        let left: Vec<f64> = places
            .iter()
            .zip(losses)
            .map(|(place, loss)| loss / *first[*place].get_or_insert(*loss))
            .collect();
        let mut trained = known_tasks::at(weights, &places);
        let now = trained.iter().map(|weight| weight.value).collect();
        self.train(&mut trained, &gramian.norms(), &left);
        known_tasks::put(&mut self.seen.weights, &places, trained);
        self.seen.tasks = tasks;
        Ok(now)
    }
}

impl Stateful for GradNorm {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let seen: Seen = state.read("gradnorm")?;
        if seen.first.len() != seen.weights.len() || seen.weights.len() > seen.tasks.len() {
            return Err(Error::state(
                "gradnorm",
                "as many first losses as weights and as tasks",
                seen.first.len(),
            ));
        }
        self.seen = Seen { tasks: self.seen.tasks.restored(seen.tasks)?, ..seen };
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    alpha: f64,
    lr: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { alpha: 1.5, lr: 0.025 }
    }
}

impl TryFrom<Fields> for GradNorm {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.alpha, fields.lr)
    }
}

impl From<GradNorm> for Fields {
    fn from(method: GradNorm) -> Self {
        Self { alpha: method.alpha, lr: method.lr }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_fall_alike_the_pulls_become_equal() {
        let gramian = Gramian::new(["a", "b"], &[[4.0, 0.0], [0.0, 1.0]]).unwrap();
        let gramian = gramian.with_losses(vec![1.0, 1.0]).unwrap();
        let mut gradnorm = GradNorm::new(1.5, 0.01).unwrap();
        let mut w = Vec::new();
        for _ in 0..400 {
            w = gradnorm.weights(&gramian).unwrap();
        }
        // 2 w₁ = w₂ with w₁ + w₂ = 2.
        assert!((w[0] - 2.0 / 3.0).abs() < 0.03 && (w[1] - 4.0 / 3.0).abs() < 0.03, "{w:?}");
    }
}
