//! Dynamic weight average: a task whose loss falls more slowly counts for more.
//!
//! Given the mean losses of the last two epochs, the value is Σ wᵢLᵢ with
//!     w = K softmax(r / T),   rᵢ = L̄ᵢ(t − 1) / L̄ᵢ(t − 2)
//! and w = 1 until there are two. Over the K tasks that are present; a task without
//! two epochs has r = 1. Guarantees: Σ w = K.
//! Reference: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
//! <https://arxiv.org/abs/1803.10704>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{softmax, weighed},
};
use crate::parameter;

/// Weights by the rate at which losses fall.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `temperature` | 2 | > 0 | the larger, the more alike the weights |
///
/// # Errors
/// [`Error::Parameter`] for an epoch's mean loss that is not > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarized, scalarizer::Dwa};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(1.0)?)])?;
/// let mut dwa = Dwa::new(0.5)?;
/// assert_eq!(scalarized(&mut dwa, &losses)?.weights["mask"], 1.0);
/// dwa.end_epoch(&Named::new([("class", 2.0), ("mask", 2.0)])?)?;
/// dwa.end_epoch(&Named::new([("class", 1.0), ("mask", 2.0)])?)?;
/// let weights = scalarized(&mut dwa, &losses)?.weights;
/// // r = ½ and 1: the ratio of the weights is e^(½ / T) = e.
/// assert!((weights["mask"] / weights["class"] - 1f64.exp()).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Dwa {
    temperature: f64,
    /// The mean losses of up to two epochs, the last one last.
    #[serde(skip)]
    epochs: Vec<Named<f64>>,
}

impl Dwa {
    /// With this temperature.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a temperature that is not a finite number > 0.
    pub fn new(temperature: f64) -> Result<Self> {
        Ok(Self { temperature: parameter::positive("temperature", temperature)?, epochs: Vec::new() })
    }

    fn rate(&self, task: &str) -> f64 {
        let [before, last] = &self.epochs[..] else { return 1.0 };
        match (before.get(task), last.get(task)) {
            (Some(before), Some(last)) => last / before,
            _ => 1.0,
        }
    }
}

impl Scalarizer for Dwa {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        let shares = softmax(&losses.map(|task, _| self.rate(task) / self.temperature));
        weighed(losses, &shares.map(|_, share| share * losses.len() as f64))
    }

    fn end_epoch(&mut self, mean_losses: &Named<f64>) -> Result<()> {
        for (task, loss) in mean_losses.iter() {
            parameter::positive(&format!("mean loss of `{task}`"), *loss)?;
        }
        self.epochs.push(mean_losses.clone());
        let old = self.epochs.len().saturating_sub(2);
        self.epochs.drain(..old);
        Ok(())
    }
}

impl Stateful for Dwa {
    fn save(&self) -> Result<State> {
        State::of(&self.epochs)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.epochs = state.read("dwa")?;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    temperature: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { temperature: 2.0 }
    }
}

impl TryFrom<Fields> for Dwa {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.temperature)
    }
}
