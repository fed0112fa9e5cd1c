//! SAM-GS: gradients of different length are brought to one length; where all are alike, momentum modulates them.
//!
//! With the similarity of lengths φᵢⱼ = 2 ‖gᵢ‖‖gⱼ‖ / (‖gᵢ‖² + ‖gⱼ‖²) and its mean φ̄ over all pairs, at step t
//!     mᵢ ← β₁ mᵢ + (1 − β₁) gᵢ,   v ← β₂ v + (1 − β₂)(1 − φ̄)² + 1e-8
//! from 0, and m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ). If any φᵢⱼ < γ,
//!     d = Σ gᵢ n̄ / ‖gᵢ‖   with the mean length n̄,
//! otherwise d = Σ gᵢ ∘ |m̂ᵢ| / √v̂, coordinate by coordinate. Cost: two to three passes over rows and memory of the size of
//! all rows. Guarantees: in the first case every task has the same length in d.
//! Variants: as the authors' code, whose 1e-8 is added to v at every step and whose momentum of every task starts at 0; there
//! a gradient of 0 or a task alone leads to NaN, while here a gradient of 0 gets the weight 0, two of them are alike, and a
//! task alone keeps its gradient. Momentum counts the steps that a task was there.
//! Reference: Borsani et al., "Gradient Similarity Surgery in Multi-Task Deep Learning", 2025,
//! <https://arxiv.org/abs/2506.06130>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    memory::{Memory, as_gradient, in_place_of, tracked},
    pieces::{Number, Pass, Piece, Sums, rows, run},
};
use crate::{Jacobian, parameter};

/// One length where lengths differ, momentum where they do not.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta1` | 0.9 | [0, 1) | how slowly the momentum follows |
/// | `beta2` | 0.9 | [0, 1) | how slowly the dissimilarity follows |
/// | `gamma` | 0.9 | [0, 1] | the similarity below which lengths are made equal |
///
/// # Errors
/// [`Error::Shape`] for other tasks or numbers than before, or tasks than were [named](Aggregator::prepare).
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::SamGs};
/// let row = |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu)?.into())]);
/// let jacobian = Jacobian::new(Named::new([("a", row([1.0, 0.0])?), ("b", row([0.0, 3.0])?)])?)?;
/// // φ = 6/10 < 0.9: both at the mean length 2.
/// assert_eq!(SamGs::default().aggregate(&jacobian)?.weights, Some(vec![2.0, 2.0 / 3.0]));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct SamGs {
    fields: Fields,
    seen: Seen,
    memory: Memory,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    steps: u64,
    dissimilarity: f64,
}

impl Aggregator for SamGs {
    fn remembers_coordinates(&self) -> bool {
        true
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.memory.prepare(tasks)
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (size, mut seen) = (jacobian.rows().len(), self.seen.clone());
        let at = self.memory.at(jacobian)?;
        let Fields { beta1, beta2, gamma } = self.fields;
        let (m, squares) =
            tracked((&self.memory, &at), jacobian, [&vec![beta1; size], &vec![1.0 - beta1; size]])?;
        let norms: Vec<f64> = squares.iter().map(|squares| squares[0].sqrt()).collect();
        let similarities = similarities(&norms);
        // Of a task alone there is no similarity to learn from, and its gradient has the mean length.
        if !similarities.is_empty() {
            let apart = 1.0 - similarities.iter().sum::<f64>() / similarities.len() as f64;
            seen.steps += 1;
            seen.dissimilarity = beta2 * seen.dissimilarity + (1.0 - beta2) * apart * apart + 1e-8;
        }
        let alike = similarities.iter().all(|similarity| *similarity >= gamma);
        let made = if similarities.is_empty() || !alike {
            let length = norms.iter().sum::<f64>() / size as f64;
            let weights: Vec<f64> =
                norms.iter().map(|norm| if *norm > 0.0 { length / norm } else { 0.0 }).collect();
            Aggregated { gradient: jacobian.combined(&weights)?, weights: Some(weights) }
        } else {
            let left = |beta: f64, steps: u64| 1.0 - beta.powf(steps as f64);
            let root = (seen.dissimilarity / left(beta2, seen.steps)).sqrt();
            let factors = at.steps.iter().map(|steps| 1.0 / left(beta1, *steps) / root).collect();
            let of_m = in_place_of(jacobian, &m)?;
            let both = [rows(jacobian), rows(&of_m)].concat();
            Aggregated {
                gradient: as_gradient(run(&both, &Modulated { factors })?.0, jacobian)?,
                weights: None,
            }
        };
        self.memory.put(at, m)?;
        self.seen = seen;
        Ok(made)
    }
}

/// The similarity of lengths of every pair; two gradients of 0 are alike.
fn similarities(norms: &[f64]) -> Vec<f64> {
    let pairs = (0..norms.len()).flat_map(|i| (i + 1..norms.len()).map(move |j| (norms[i], norms[j])));
    pairs.map(|(a, b)| if a == b { 1.0 } else { 2.0 / (a / b + b / a) }).collect()
}

/// Σ gᵢ ∘ |mᵢ| times a factor each, of rows g and as many rows m that were looked at before.
struct Modulated {
    factors: Vec<f64>,
}

impl Pass for Modulated {
    const WRITES: bool = true;
    const CHECKS: bool = false;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums {
        let (g, m) = piece.rows.split_at(piece.rows.len() / 2);
        for ((g, m), factor) in g.iter().zip(m).zip(&self.factors) {
            let factor = T::from_f64(*factor);
            let values = g.iter().zip(m.iter()).map(|(g, m)| *g * m.absolute() * factor);
            piece.out.iter_mut().zip(values).for_each(|(out, value)| *out += value);
        }
        Sums::default()
    }
}

impl Stateful for SamGs {
    fn save(&self) -> Result<State> {
        self.memory.save(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        (self.seen, self.memory) = self.memory.restored("sam_gs", state)?;
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    beta1: f64,
    beta2: f64,
    gamma: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.9, gamma: 0.9 }
    }
}

impl TryFrom<Fields> for SamGs {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let fields = Fields {
            beta1: parameter::below_one("beta1", fields.beta1)?,
            beta2: parameter::below_one("beta2", fields.beta2)?,
            gamma: parameter::fraction("gamma", fields.gamma)?,
        };
        Ok(Self { fields, ..Self::default() })
    }
}

impl From<SamGs> for Fields {
    fn from(method: SamGs) -> Self {
        method.fields
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use taskweave_kernels::Named;

    use super::*;

    #[test]
    fn momentum_of_two_steps_modulates_the_gradients() {
        let mut method = SamGs::try_from(Fields { beta1: 0.5, beta2: 0.5, gamma: 0.5 }).unwrap();
        let mut step = |a: f64, b: f64| {
            let row =
                |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu).unwrap().into())]).unwrap();
            let rows = Named::new([("a", row([a, 0.0])), ("b", row([0.0, b]))]).unwrap();
            let found = method.aggregate(&Jacobian::new(rows).unwrap()).unwrap();
            assert_eq!(found.weights, None);
            found.gradient["x"].clone().into_dense().unwrap().to_vec1::<f64>().unwrap()
        };
        // φ = 4/5, 1 − φ = 1/5: m̂ = g, v̂ = 1/25, d = g² / (1/5).
        let first = step(1.0, 2.0);
        assert!((first[0] - 5.0).abs() < 1e-4 && (first[1] - 20.0).abs() < 1e-4, "{first:?}");
        // φ = 1: m̂ = (¼ · 1 + ½ · 2, ¼ · 2 + ½ · 2) / ¾ = (5/3, 2), v̂ = ½ · 1/50 / ¾ = 1/75.
        let (second, root) = (step(2.0, 2.0), 75f64.sqrt());
        let expected = [2.0 * 5.0 / 3.0 * root, 2.0 * 2.0 * root];
        assert!(second.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() < 1e-5), "{second:?}");
    }
}
