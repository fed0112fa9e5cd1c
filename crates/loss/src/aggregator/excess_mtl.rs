//! ExcessMTL: a task counts for more the further its loss is from the least that it can be.
//!
//! With running sums of squares sᵢ ← sᵢ + gᵢ² (coordinate by coordinate), the distance is estimated to second order as
//!     Eᵢ = Σ gᵢ² / √(sᵢ + ε),   ε = 1e-7.
//! For the first `warm_up` steps of a task its wᵢ is not changed, and the mean of Eᵢ over them is its scale Eᵢ⁰. From then on
//!     wᵢ ← wᵢ exp(η Eᵢ / Eᵢ⁰),   normalized to Σ w = m.
//! Cost: two passes over rows and memory of the size of all rows. Guarantees: Σ w = m; a noisy task, whose loss stays
//! high whatever is done, does not take over as it does where weights follow losses.
//! Variants: as the authors' code, which has a warm-up of one step. A task whose gradient was 0 during the warm-up keeps its
//! place. Steps are counted by task; those that a step has keep the sum of their weights, which are normalized among them.
//! Reference: He et al., "Robust Multi-Task Learning with Excess Risks", ICML 2024, algorithm 1,
//! <https://openreview.net/forum?id=JzWFmMySpn>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    memory::{At, Memory, moved},
    pieces::{Number, Pass, Piece, Sums},
};
use crate::{Jacobian, known_tasks, parameter};

/// Weights by excess risk.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `step_size` | 0.01 | ≥ 0 | η |
/// | `warm_up` | 1 | ≥ 1 | steps that set the scale of each task |
///
/// # Errors
/// [`Error::Shape`] for other tasks or numbers than before, or tasks than were [named](Aggregator::prepare).
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::ExcessMtl};
/// let jacobian = |a: f64, b: f64| {
///     let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
///     Jacobian::new(Named::new([("a", row(a)?), ("b", row(b)?)])?)
/// };
/// let mut excess = ExcessMtl::new(0.5, 1)?;
/// assert_eq!(excess.aggregate(&jacobian(1.0, 4.0)?)?.weights, Some(vec![1.0, 1.0]));
/// // E = g² / √s: from 1 to 1 / √2 and from 4 to 0.
/// let weights = excess.aggregate(&jacobian(1.0, 0.0)?)?.weights.unwrap();
/// assert!((weights[0] / weights[1] - (0.5 / 2f64.sqrt()).exp()).abs() < 1e-6);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct ExcessMtl {
    fields: Fields,
    /// Of every known task.
    seen: Vec<Excess>,
    memory: Memory,
}

/// What is remembered of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Excess {
    /// Σ E over its warm-up.
    scale: f64,
    /// log w, up to a constant of all.
    logit: f64,
}

impl ExcessMtl {
    /// Weights that move by `step_size` after so many steps of warm-up.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size that is negative or not finite, or no step of warm-up.
    pub fn new(step_size: f64, warm_up: u64) -> Result<Self> {
        Self::try_from(Fields { step_size, warm_up })
    }

    /// Moves the tasks that a step has, given E of each.
    fn follow(&self, tasks: &mut [Excess], excess: &[f64], at: &At) {
        let count = self.fields.warm_up as f64;
        let before = log_sum(tasks);
        for ((task, excess), steps) in tasks.iter_mut().zip(excess).zip(&at.steps) {
            if *steps <= self.fields.warm_up {
                task.scale += excess;
            } else if task.scale > 0.0 {
                task.logit += self.fields.step_size * excess * count / task.scale;
            }
        }
        // What the tasks that are missing have is theirs: the others keep the sum of theirs.
        if tasks.len() < at.known() {
            let shift = before - log_sum(tasks);
            tasks.iter_mut().for_each(|task| task.logit += shift);
        }
    }
}

/// w of some tasks, normalized to their number.
fn weights(tasks: &[Excess]) -> Vec<f64> {
    let (_, powers) = powers(tasks);
    let mean = powers.iter().sum::<f64>() / powers.len() as f64;
    powers.into_iter().map(|power| power / mean).collect()
}

/// log Σ w.
fn log_sum(tasks: &[Excess]) -> f64 {
    let (most, powers) = powers(tasks);
    most + powers.iter().sum::<f64>().ln()
}

/// The largest of the logits, and exp of each less that.
fn powers(tasks: &[Excess]) -> (f64, Vec<f64>) {
    let most = tasks.iter().fold(f64::NEG_INFINITY, |most, task| most.max(task.logit));
    (most, tasks.iter().map(|task| (task.logit - most).exp()).collect())
}

impl Aggregator for ExcessMtl {
    fn weighs(&self) -> bool {
        true
    }

    fn remembers_coordinates(&self) -> bool {
        true
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.memory.prepare(tasks)
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (at, mut seen) = (self.memory.at(jacobian)?, self.seen.clone());
        seen.resize(at.known(), Excess::default());
        let (squares, excess) = moved((&self.memory, &at), jacobian, "squared gradient", |_| Squares)?;
        let excess: Vec<f64> = excess.into_iter().map(|[excess, _]| excess).collect();
        let mut present = known_tasks::at(&seen, &at.places);
        self.follow(&mut present, &excess, &at);
        let weights = weights(&present);
        known_tasks::put(&mut seen, &at.places, present);
        let gradient = jacobian.combined(&weights)?;
        self.memory.put(at, squares)?;
        self.seen = seen;
        Ok(Aggregated { gradient, weights: Some(weights) })
    }
}

/// s + g² of a row s and a row g; the first sum is E, and not finite where g is not.
struct Squares;

/// Numbers that are divided side by side.
const SIDE: usize = 16;

impl Pass for Squares {
    const WRITES: bool = true;
    const CHECKS: bool = false;
    const PIECE: usize = 1024;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums {
        let (epsilon, mut lanes, mut rest) = (T::from_f64(1e-7), [T::zero(); SIDE], 0.0);
        let ([s, g], out) = ([piece.rows[0], piece.rows[1]].map(|row| row.as_chunks::<SIDE>()), piece.out);
        let out = out.as_chunks_mut::<SIDE>();
        for ((out, s), g) in out.0.iter_mut().zip(s.0).zip(g.0) {
            for k in 0..SIDE {
                let square = g[k] * g[k];
                out[k] = s[k] + square;
                lanes[k] += square / (out[k] + epsilon).root();
            }
        }
        for ((out, s), g) in out.1.iter_mut().zip(s.1).zip(g.1) {
            *out = *s + *g * *g;
            rest += (*g * *g / (*out + epsilon).root()).to_f64();
        }
        let sum = lanes.iter().fold(rest, |sum, lane| sum + lane.to_f64());
        [sum, 0.0]
    }
}

impl Stateful for ExcessMtl {
    fn save(&self) -> Result<State> {
        self.memory.save(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let (seen, memory): (Vec<Excess>, Memory) = self.memory.restored("excess_mtl", state)?;
        if seen.len() > memory.known() {
            return Err(Error::state("excess_mtl", "no more weights than tasks", seen.len()));
        }
        (self.seen, self.memory) = (seen, memory);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    step_size: f64,
    warm_up: u64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { step_size: 0.01, warm_up: 1 }
    }
}

impl TryFrom<Fields> for ExcessMtl {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        parameter::non_negative("step_size", fields.step_size)?;
        if fields.warm_up == 0 {
            return Err(Error::parameter("warm_up", "at least 1", 0));
        }
        Ok(Self { fields, seen: Vec::new(), memory: Memory::default() })
    }
}

impl From<ExcessMtl> for Fields {
    fn from(method: ExcessMtl) -> Self {
        method.fields
    }
}
