//! ExcessMTL: a task counts for more the further its loss is from the least that it can be.
//!
//! With running sums of squares sᵢ ← sᵢ + gᵢ² (coordinate by coordinate), the distance is estimated to second order as
//!     Eᵢ = Σ gᵢ² / √(sᵢ + ε),   ε = 1e-7.
//! For the first `warm_up` steps all weights are 1, and the mean of Eᵢ over them is the scale Eᵢ⁰ of the task. From then on
//!     wᵢ ← wᵢ exp(η Eᵢ / Eᵢ⁰),   normalized to Σ w = m.
//! Cost: two passes over rows and memory of the size of all rows. Guarantees: Σ w = m; a noisy task, whose loss stays
//! high whatever is done, does not take over as it does where weights follow losses.
//! Variants: as the authors' code, which has a warm-up of one step. A task whose gradient was 0 during the warm-up keeps its
//! place.
//! Reference: He et al., "Robust Multi-Task Learning with Excess Risks", ICML 2024, algorithm 1,
//! <https://openreview.net/forum?id=JzWFmMySpn>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    memory::{Memory, moved},
    pieces::{Number, Pass, Piece, Sums},
};
use crate::{Jacobian, known_tasks::KnownTasks, parameter};

/// Weights by excess risk.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `step_size` | 0.01 | ≥ 0 | η |
/// | `warm_up` | 1 | ≥ 1 | steps that set the scale of each task |
///
/// # Errors
/// [`Error::Shape`] for other tasks or numbers than before.
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
    seen: Seen,
    memory: Memory,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    steps: u64,
    tasks: KnownTasks,
    /// Σ E over the warm-up.
    scale: Vec<f64>,
    /// log w, up to a constant.
    logits: Vec<f64>,
}

impl ExcessMtl {
    /// Weights that move by `step_size` after so many steps of warm-up.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size that is negative or not finite, or no step of warm-up.
    pub fn new(step_size: f64, warm_up: u64) -> Result<Self> {
        Self::try_from(Fields { step_size, warm_up })
    }

    /// The weights of this step, given E.
    fn weights(&self, seen: &mut Seen, excess: &[f64]) -> Vec<f64> {
        let Seen { steps, scale, logits, .. } = seen;
        *steps += 1;
        if *steps <= self.fields.warm_up {
            scale.iter_mut().zip(excess).for_each(|(scale, excess)| *scale += excess);
            return vec![1.0; excess.len()];
        }
        let count = self.fields.warm_up as f64;
        for ((logit, excess), scale) in logits.iter_mut().zip(excess).zip(&*scale) {
            *logit += if *scale > 0.0 { self.fields.step_size * excess * count / scale } else { 0.0 };
        }
        let most = logits.iter().fold(f64::NEG_INFINITY, |most, logit| most.max(*logit));
        let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let mean = powers.iter().sum::<f64>() / powers.len() as f64;
        powers.into_iter().map(|power| power / mean).collect()
    }
}

impl Aggregator for ExcessMtl {
    fn weighs(&self) -> bool {
        true
    }

    fn remembers_coordinates(&self) -> bool {
        true
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (size, mut seen) = (jacobian.rows().len(), self.seen.clone());
        seen.tasks.require("Jacobian", jacobian.rows().names())?;
        if seen.scale.is_empty() {
            (seen.scale, seen.logits) = (vec![0.0; size], vec![0.0; size]);
        }
        if seen.scale.len() != size {
            let expected = format!("[{}, …] as before", seen.scale.len());
            return Err(Error::shape("Jacobian", expected, &[size]));
        }
        let (squares, excess) = moved(&self.memory, jacobian, "squared gradient", |_| Squares)?;
        let excess: Vec<f64> = excess.into_iter().map(|[excess, _]| excess).collect();
        let weights = self.weights(&mut seen, &excess);
        let gradient = jacobian.combined(&weights)?;
        self.memory.put(squares)?;
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
        let (seen, memory): (Seen, _) = Memory::restored("excess_mtl", state)?;
        if seen.scale.len() != seen.logits.len() {
            return Err(Error::state("excess_mtl", "as many scales as weights", seen.scale.len()));
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
        Ok(Self { fields, seen: Seen::default(), memory: Memory::default() })
    }
}

impl From<ExcessMtl> for Fields {
    fn from(method: ExcessMtl) -> Self {
        method.fields
    }
}
