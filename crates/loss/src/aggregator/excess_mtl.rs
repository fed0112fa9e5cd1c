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
    memory::Memory,
    pieces::{Check, Number, Pass, Piece, run},
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
    fn weigh(&mut self, excess: &[f64]) -> Vec<f64> {
        let Seen { steps, scale, logits, .. } = &mut self.seen;
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
        let size = jacobian.rows().len();
        run(jacobian, None, &Check)?;
        self.seen.tasks.require("Jacobian", jacobian.rows().names())?;
        if self.seen.scale.is_empty() {
            (self.seen.scale, self.seen.logits) = (vec![0.0; size], vec![0.0; size]);
        }
        if self.seen.scale.len() != size {
            let expected = format!("[{}, …] as before", self.seen.scale.len());
            return Err(Error::shape("Jacobian", expected, &[size]));
        }
        let (_, mut excess) = run(jacobian, Some(&mut self.memory), &Squares)?;
        excess.resize(size, 0.0);
        let weights = self.weigh(&excess);
        Ok(Aggregated { gradient: jacobian.combined(&weights)?, weights: Some(weights) })
    }
}

/// sᵢ ← sᵢ + gᵢ²; the sums are the Eᵢ.
struct Squares;

impl Pass for Squares {
    const WRITES: bool = false;

    #[inline(always)]
    fn piece<T: Number>(&self, mut piece: Piece<'_, T>) -> Vec<f64> {
        let epsilon = T::from_f64(1e-7);
        let one = |(s, g): (&mut &mut [T], &&[T])| {
            let mut lanes = [T::zero(); 8];
            let (s, g) = (s.as_chunks_mut::<8>(), g.as_chunks::<8>());
            for (s, g) in s.0.iter_mut().zip(g.0) {
                for k in 0..8 {
                    s[k] += g[k] * g[k];
                    lanes[k] += g[k] * g[k] / (s[k] + epsilon).root();
                }
            }
            let rest = s.1.iter_mut().zip(g.1).map(|(s, g)| {
                *s += *g * *g;
                (*g * *g / (*s + epsilon).root()).to_f64()
            });
            rest.sum::<f64>() + lanes.iter().map(|lane| lane.to_f64()).sum::<f64>()
        };
        piece.kept.iter_mut().zip(&piece.rows).map(one).collect()
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
