//! Random gradient weighting: new random weights at every step.
//!
//! At every step, whatever the gradients, returns
//!     w = softmax(z),   z ~ N(0, I)
//! A baseline that is hard to beat by much. No guarantee.
//! Reference: Lin, Ye, Zhang and Tsang, "Reasonable Effectiveness of Random Weighting", TMLR 2022,
//! <https://arxiv.org/abs/2111.10603>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Result, Rng, State, Stateful};

use super::Weighting;
use crate::Gramian;

/// The softmax of normal numbers, drawn anew at every call.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `seed` | 0 | any | seed of its own random stream |
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Random, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// let weights = Random::new(7).weights(&gramian)?;
/// assert!((weights[0] + weights[1] - 1.0).abs() < 1e-15);
/// assert_eq!(weights, Random::new(7).weights(&gramian)?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Random {
    seed: u64,
    rng: Rng,
}

impl Random {
    /// A stream of weights from a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: Rng::new(seed).fork("random weights") }
    }

    fn draw(&mut self, tasks: usize) -> Vec<f64> {
        let powers: Vec<f64> = (0..tasks).map(|_| self.rng.normal().exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    }
}

impl Weighting for Random {
    fn without_gradients(&mut self, tasks: &[&str]) -> Result<Option<Vec<f64>>> {
        Ok(Some(self.draw(tasks.len())))
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        Ok(self.draw(gramian.len()))
    }
}

impl Stateful for Random {
    fn save(&self) -> Result<State> {
        State::of(&self.rng)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.rng = state.read("random weights")?;
        Ok(())
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    seed: u64,
}

impl From<Fields> for Random {
    fn from(fields: Fields) -> Self {
        Self::new(fields.seed)
    }
}

impl From<Random> for Fields {
    fn from(random: Random) -> Self {
        Self { seed: random.seed }
    }
}
