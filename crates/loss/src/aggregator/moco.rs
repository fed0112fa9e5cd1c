//! MoCo: the gradients are tracked over time, and the weights take steps towards the shortest vector of their hull.
//!
//! At step t, with β_t = β / t^{σ_β}, γ_t = γ / t^{σ_γ}, and y = 0, λ = 1/m at first,
//!     yᵢ ← yᵢ − β_t (yᵢ − gᵢ),   λ ← Π(λ − γ_t (Y Yᵀ + ρ I) λ),   d = Yᵀλ
//! where Π is the projection onto the simplex. The weights come from gradients of many batches, which removes the bias
//! that weights from the same batch have. Cost: two passes over rows and memory of the size of all rows. Guarantees: on
//! average those of MGDA, once y has settled. The step of λ depends on the units of the losses.
//! Variants: the projection as in the paper; the authors' code has a softmax in its place and divides every gradient by
//! its norm and multiplies it by its loss before it is tracked. Both start at y = 0. Tasks that a step lacks keep y and λ; those
//! that are there keep the sum of theirs, so that there is no step where all of them have 0. For y, t counts the steps that a
//! task was there.
//! Reference: Fernando et al., "Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach", ICLR
//! 2023, algorithm 1, <https://openreview.net/forum?id=dLAYGdKTi2>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    memory::{Memory, as_gradient, in_place_of, tracked},
};
use crate::{Jacobian, known_tasks, parameter, simplex_projection};

/// Tracked gradients, weights on the way to the shortest vector.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta` | 0.5 | [0, 1] | how fast y follows |
/// | `beta_sigma` | 0.5 | ≥ 0 | how fast that decays |
/// | `gamma` | 0.1 | ≥ 0 | step of the weights |
/// | `gamma_sigma` | 0.5 | ≥ 0 | how fast that decays |
/// | `rho` | 0 | ≥ 0 | pull of the weights towards 1/m |
///
/// # Errors
/// [`Error::Shape`] for other tasks or numbers than before, or tasks than were [named](Aggregator::prepare).
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, AggregatorConfig, Jacobian};
/// let text = r#"{"name": "moco", "beta": 1.0, "gamma": 0.5}"#;
/// let mut moco = serde_json::from_str::<AggregatorConfig>(text).unwrap().build()?;
/// let row = |x: [f64; 2]| Named::new([("x", Tensor::new(&x, &Device::Cpu)?.into())]);
/// let jacobian = Jacobian::new(Named::new([("a", row([1.0, 0.0])?), ("b", row([0.0, 2.0])?)])?)?;
/// let found = moco.aggregate(&jacobian)?.gradient["x"].clone().into_dense()?.to_vec1::<f64>()?;
/// // λ − ½ (½, 2) = (¼, −½), projected (⅞, ⅛).
/// assert_eq!(found, [0.875, 0.25]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct MoCo {
    fields: Fields,
    seen: Seen,
    memory: Memory,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    steps: u64,
    /// Of every known task.
    weights: Vec<f64>,
}

impl Aggregator for MoCo {
    fn remembers_coordinates(&self) -> bool {
        true
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.memory.prepare(tasks)
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (fields, mut seen, size) = (&self.fields, self.seen.clone(), jacobian.rows().len());
        let at = self.memory.at(jacobian)?;
        if seen.weights.is_empty() {
            seen.weights = vec![1.0 / at.known().max(1) as f64; at.known()];
        }
        let mut weights = known_tasks::at(&seen.weights, &at.places);
        let beta: Vec<f64> =
            at.steps.iter().map(|t| fields.beta / (*t as f64).powf(fields.beta_sigma)).collect();
        let keep: Vec<f64> = beta.iter().map(|beta| 1.0 - beta).collect();
        let gamma = fields.gamma / ((seen.steps + 1) as f64).powf(fields.gamma_sigma);
        let (y, _) = tracked((&self.memory, &at), jacobian, [&keep, &beta])?;
        let of_y = in_place_of(jacobian, &y)?;
        if size > 0 {
            let slopes = times(of_y.gramian()?.values(), &weights);
            let step = |(w, slope): (&f64, f64)| w - gamma * (slope + fields.rho * w);
            let moved: Vec<f64> = weights.iter().zip(slopes).map(step).collect();
            // What the tasks that are missing have is theirs.
            let sum = if size == at.known() { 1.0 } else { weights.iter().sum() };
            weights = simplex_projection(&moved, sum)?;
        }
        seen.steps += 1;
        let gradient = as_gradient(of_y.combined(&weights)?, jacobian)?;
        known_tasks::put(&mut seen.weights, &at.places, weights);
        self.memory.put(at, y)?;
        self.seen = seen;
        Ok(Aggregated { gradient, weights: None })
    }
}

/// The product of a square matrix and a vector.
fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks(x.len().max(1)).map(|row| row.iter().zip(x).map(|(entry, x)| entry * x).sum()).collect()
}

impl Stateful for MoCo {
    fn save(&self) -> Result<State> {
        self.memory.save(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let (seen, memory): (Seen, Memory) = self.memory.restored("moco", state)?;
        if !seen.weights.is_empty() && seen.weights.len() != memory.known() {
            return Err(Error::state("moco", "one weight per task", seen.weights.len()));
        }
        (self.seen, self.memory) = (seen, memory);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    beta: f64,
    beta_sigma: f64,
    gamma: f64,
    gamma_sigma: f64,
    rho: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { beta: 0.5, beta_sigma: 0.5, gamma: 0.1, gamma_sigma: 0.5, rho: 0.0 }
    }
}

impl TryFrom<Fields> for MoCo {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let fields = Fields {
            beta: parameter::fraction("beta", fields.beta)?,
            beta_sigma: parameter::non_negative("beta_sigma", fields.beta_sigma)?,
            gamma: parameter::non_negative("gamma", fields.gamma)?,
            gamma_sigma: parameter::non_negative("gamma_sigma", fields.gamma_sigma)?,
            rho: parameter::non_negative("rho", fields.rho)?,
        };
        Ok(Self { fields, seen: Seen::default(), memory: Memory::default() })
    }
}

impl From<MoCo> for Fields {
    fn from(method: MoCo) -> Self {
        method.fields
    }
}
