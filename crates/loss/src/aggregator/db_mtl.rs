//! DB-MTL: gradients of the logarithms of the losses, smoothed over time and brought to the length of the longest.
//!
//! At step t, with β_t = β / t^σ and m = 0 at first,
//!     mᵢ ← β_t mᵢ + (1 − β_t) gᵢ / (Lᵢ + ε),   d = Σ αᵢmᵢ,   αᵢ = maxⱼ ‖mⱼ‖ / ‖mᵢ‖,   ε = 1e-8
//! since gᵢ / (Lᵢ + ε) is the gradient of log (Lᵢ + ε). Cost: two passes over rows and memory of the size of all rows; with
//! β = 0 nothing is remembered, two passes over the rows, and the weights of the gradients are reported. Guarantees: all
//! tasks have the same length in d, that of the longest. Not: any about conflict.
//! Variants: as the authors' code, which starts at m = 0 too and does not correct for it. An m of 0 gets the weight 0.
//! Reference: Lin et al., "Dual-Balancing for Multi-Task Learning", 2023, algorithm 1, <https://arxiv.org/abs/2308.12029>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    memory::{Memory, as_gradient, in_place_of, tracked},
};
use crate::{Jacobian, parameter};

const EPSILON: f64 = 1e-8;

/// Logarithmic losses, gradients of one length.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta` | 0.9 | [0, 1) | how slowly the gradients follow |
/// | `sigma` | 0 | ≥ 0 | how fast that decays |
///
/// # Errors
/// [`Error::Parameter`] where losses are missing or not > −1e-8; [`Error::Shape`] for other tasks or numbers than before, or tasks
/// than were [named](Aggregator::prepare).
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::DbMtl};
/// let row = |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu)?.into())]);
/// let rows = Named::new([("a", row([3.0, 0.0])?), ("b", row([0.0, 8.0])?)])?;
/// let jacobian = Jacobian::new(rows)?.with_losses(Named::new([("a", 1.0), ("b", 2.0)])?)?;
/// let found = DbMtl::new(0.0, 0.0)?.aggregate(&jacobian)?.gradient["x"].clone().into_dense()?.to_vec1::<f64>()?;
/// // g / L has the lengths 3 and 4.
/// assert!(found.iter().all(|x| (x - 4.0).abs() < 1e-6));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct DbMtl {
    beta: f64,
    sigma: f64,
    steps: u64,
    memory: Memory,
}

impl DbMtl {
    /// Gradients of which the share `beta` / t^`sigma` stays at step t.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `beta` outside [0, 1) or a `sigma` that is negative or not finite.
    pub fn new(beta: f64, sigma: f64) -> Result<Self> {
        Ok(Self {
            beta: parameter::below_one("beta", beta)?,
            sigma: parameter::non_negative("sigma", sigma)?,
            steps: 0,
            memory: Memory::default(),
        })
    }
}

impl Aggregator for DbMtl {
    fn weighs(&self) -> bool {
        self.beta == 0.0
    }

    fn remembers_coordinates(&self) -> bool {
        self.beta > 0.0
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.memory.prepare(tasks)
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let slopes = slopes(jacobian)?;
        if self.beta == 0.0 {
            let lengths: Vec<f64> =
                jacobian.norms()?.iter().zip(&slopes).map(|(norm, slope)| norm * slope).collect();
            let weights: Vec<f64> =
                longest(&lengths).iter().zip(&slopes).map(|(a, slope)| a * slope).collect();
            return Ok(Aggregated { gradient: jacobian.combined(&weights)?, weights: Some(weights) });
        }
        let at = self.memory.at(jacobian)?;
        let keep = self.beta / ((self.steps + 1) as f64).powf(self.sigma);
        let take: Vec<f64> = slopes.into_iter().map(|slope| (1.0 - keep) * slope).collect();
        let (m, squares) = tracked((&self.memory, &at), jacobian, [&vec![keep; take.len()], &take])?;
        let lengths: Vec<f64> = squares.iter().map(|squares| squares[1].sqrt()).collect();
        let of_m = in_place_of(jacobian, &m)?;
        let gradient = as_gradient(of_m.combined(&longest(&lengths))?, jacobian)?;
        self.memory.put(at, m)?;
        self.steps += 1;
        Ok(Aggregated { gradient, weights: None })
    }
}

/// The slope of log (Lᵢ + ε) of every task.
fn slopes(jacobian: &Jacobian) -> Result<Vec<f64>> {
    let slope = |(task, loss): (&str, &f64)| {
        let name = format!("loss of `{task}`");
        Ok(1.0 / parameter::positive(&name, loss + EPSILON)?)
    };
    jacobian.rows().names().zip(jacobian.required_losses("db_mtl")?).map(slope).collect()
}

/// What brings each to the longest; 0 for a length of 0.
fn longest(lengths: &[f64]) -> Vec<f64> {
    let most = lengths.iter().fold(0.0, |most: f64, length| most.max(*length));
    lengths.iter().map(|length| if *length > 0.0 { most / length } else { 0.0 }).collect()
}

impl Stateful for DbMtl {
    fn save(&self) -> Result<State> {
        self.memory.save(&self.steps)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        (self.steps, self.memory) = self.memory.restored("db_mtl", state)?;
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    beta: f64,
    sigma: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { beta: 0.9, sigma: 0.0 }
    }
}

impl TryFrom<Fields> for DbMtl {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.beta, fields.sigma)
    }
}

impl From<DbMtl> for Fields {
    fn from(method: DbMtl) -> Self {
        Self { beta: method.beta, sigma: method.sigma }
    }
}
