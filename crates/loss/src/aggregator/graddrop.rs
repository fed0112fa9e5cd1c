//! GradDrop: of each coordinate, only the values of one sign remain; the sign is drawn by its share.
//!
//! For the values g₁ … g_m of a coordinate,
//!     P = ½ (1 + Σ gᵢ / Σ |gᵢ|),   u ~ U(0, 1)
//!     d = Σ of the positive gᵢ where u < P, of the negative gᵢ otherwise.
//! Cost: one random number per coordinate, on the host. Guarantees: where all signs agree nothing is dropped. Not: any
//! about a step.
//! Variants: on the gradients of shared parameters; the paper also has it at a layer of the representation, with the
//! sign of the inputs multiplied in. `leak` lets the share of every dropped value through.
//! Reference: Chen et al., "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout", NeurIPS 2020,
//! algorithm 1, <https://arxiv.org/abs/2010.06808>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Rng, State, Stateful};

use super::{Aggregated, Aggregator, coordinates::by_coordinate};
use crate::{Jacobian, parameter};

/// Sign dropout, coordinate by coordinate.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `leak` | 0 | [0, 1] | the share of dropped values that passes |
/// | `seed` | 0 | any | seed of its own random stream |
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::GradDrop};
/// let row = |x: &[f64]| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
/// let jacobian = Jacobian::new(Named::new([("a", row(&[1.0, 1.0])?), ("b", row(&[2.0, -1.0])?)])?)?;
/// let found = GradDrop::new(0.0, 0)?.aggregate(&jacobian)?.gradient["x"].clone().into_dense()?.to_vec1::<f64>()?;
/// assert!(found[0] == 3.0 && found[1].abs() == 1.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct GradDrop {
    leak: f64,
    seed: u64,
    rng: Rng,
}

impl GradDrop {
    /// Signs drawn from a seed; the share `leak` of what is dropped passes.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `leak` outside [0, 1].
    pub fn new(leak: f64, seed: u64) -> Result<Self> {
        Ok(Self { leak: parameter::fraction("leak", leak)?, seed, rng: Rng::new(seed).fork("graddrop") })
    }
}

impl Aggregator for GradDrop {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let Self { leak, rng, .. } = self;
        by_coordinate(jacobian, |values| {
            let up: f64 = values.iter().filter(|value| **value > 0.0).sum();
            let down: f64 = values.iter().filter(|value| **value < 0.0).sum();
            // ½ (1 + (up + down) / (up − down)) = up / (up − down)
            let (kept, dropped) = if rng.uniform() * (up - down) < up { (up, down) } else { (down, up) };
            kept + *leak * dropped
        })
    }
}

impl Stateful for GradDrop {
    fn save(&self) -> Result<State> {
        State::of(&self.rng)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.rng = state.read("graddrop")?;
        Ok(())
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    leak: f64,
    seed: u64,
}

impl TryFrom<Fields> for GradDrop {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.leak, fields.seed)
    }
}

impl From<GradDrop> for Fields {
    fn from(method: GradDrop) -> Self {
        Self { leak: method.leak, seed: method.seed }
    }
}
