//! Random loss weighting: new random weights at every step.
//!
//! At every step, whatever the losses,
//!     value = Σ wᵢLᵢ,   w = softmax(z),   z ~ N(0, I)
//! over the tasks that are present. A baseline that is hard to beat by much. Guarantees: Σ w = 1.
//! Reference: Lin, Ye, Zhang and Tsang, "Reasonable Effectiveness of Random Weighting", TMLR 2022,
//! <https://arxiv.org/abs/2111.10603>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result, Rng, State, Stateful};

use super::{
    Scalarizer,
    terms::{softmax, weighed},
};

/// The softmax of normal numbers, drawn anew at every step.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `seed` | 0 | any | seed of its own random stream |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::Random};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(1.0)?)])?;
/// let mut random = Random::new(7);
/// let (first, second) = (scalarized(&mut random, &losses)?.weights, scalarized(&mut random, &losses)?.weights);
/// assert!((first["class"] + first["mask"] - 1.0).abs() < 1e-15 && first != second);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Random {
    seed: u64,
    rng: Box<Rng>,
}

impl Random {
    /// A stream of weights from a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: Box::new(Rng::new(seed).fork("random losses")) }
    }
}

impl Scalarizer for Random {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        let drawn = losses.map(|_, _| self.rng.normal());
        weighed(losses, &softmax(&drawn))
    }
}

impl Stateful for Random {
    fn save(&self) -> Result<State> {
        State::of(&self.rng)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.rng = state.read("random losses")?;
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
