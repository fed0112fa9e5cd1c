//! PCGrad: from every gradient, what pulls against another is taken away, one conflict after the other.
//!
//! For every task i, with a = gᵢ at first, and every other task j in random order:
//!     if a·gⱼ < 0:   a ← a − (a·gⱼ / ‖gⱼ‖²) gⱼ
//! and w is such that Jᵀw is the sum of all a. Cost: m³ in Gramian form, without touching a gradient. Guarantees: for two
//! tasks the update harms neither. Not so for more: a later projection can bring an earlier conflict back.
//! Variants: the sum over tasks, as in the paper, not the mean. A gradient of 0 keeps the weight 1.
//! Reference: Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1,
//! <https://arxiv.org/abs/2001.06782>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Result, Rng, State, Stateful};

use super::Weighting;
use crate::Gramian;

/// Projection of conflicting gradients, pair by pair.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `seed` | 0 | any | seed of the random order of tasks |
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{PcGrad, Weighting}};
/// // g₁ = (−4, 1, 1), g₂ = (6, 1, 1)
/// let gramian = Gramian::new(["class", "mask"], &[[18.0, -22.0], [-22.0, 38.0]])?;
/// assert_eq!(PcGrad::new(0).weights(&gramian)?, [20.0 / 9.0, 30.0 / 19.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct PcGrad {
    seed: u64,
    rng: Rng,
}

impl PcGrad {
    /// Orders of tasks from a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: Rng::new(seed).fork("pcgrad") }
    }
}

impl Weighting for PcGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let size = gramian.len();
        let mut weights = vec![0.0; size];
        for i in 0..size {
            let mut others: Vec<usize> = (0..size).filter(|j| *j != i).collect();
            self.rng.shuffle(&mut others);
            // a = Jᵀ part, and along[j] = a·gⱼ.
            let mut part = vec![0.0; size];
            part[i] = 1.0;
            let mut along: Vec<f64> = (0..size).map(|j| gramian[(i, j)]).collect();
            for j in others {
                if along[j] < 0.0 && gramian[(j, j)] > 0.0 {
                    let less = along[j] / gramian[(j, j)];
                    part[j] -= less;
                    (0..size).for_each(|k| along[k] -= less * gramian[(j, k)]);
                }
            }
            weights.iter_mut().zip(part).for_each(|(weight, part)| *weight += part);
        }
        Ok(weights)
    }
}

impl Stateful for PcGrad {
    fn save(&self) -> Result<State> {
        State::of(&self.rng)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.rng = state.read("pcgrad")?;
        Ok(())
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    seed: u64,
}

impl From<Fields> for PcGrad {
    fn from(fields: Fields) -> Self {
        Self::new(fields.seed)
    }
}

impl From<PcGrad> for Fields {
    fn from(method: PcGrad) -> Self {
        Self { seed: method.seed }
    }
}
