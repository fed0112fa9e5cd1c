//! GradDrop: of each coordinate, only the values of one sign remain; the sign is drawn by its share.
//!
//! For the values g₁ … g_m of a coordinate,
//!     P = ½ (1 + Σ gᵢ / Σ |gᵢ|),   u ~ U(0, 1)
//!     d = Σ of the positive gᵢ where u < P, of the negative gᵢ otherwise.
//! At a layer of the representation, with the features A of a batch and the gradients Gᵢ of them, both [batch, …],
//!     gᵢ = Σ over the batch of sign(A) ∘ Gᵢ
//! is what the sign is drawn by, one for each feature of the layer: the Gᵢ of a feature remain for all samples together, those
//! of the tasks whose gᵢ has the drawn sign. Cost: one pass over the rows and one random number per coordinate, drawn from
//! (seed, step, block, piece). Guarantees: where all signs agree nothing is dropped. Not: any about a step.
//! Variants: where the features are known ([`Jacobian::features`]) that of the paper's algorithm 1, with f(P) = P; else the
//! one that the paper has for shared parameters. At a feature that is 0 for the whole batch every gᵢ is 0, and the
//! indicators of algorithm 1 drop all Gᵢ whatever is drawn; here they remain, since a 0 has no sign to pick by. `leak` lets
//! the share of every dropped value through; the paper has one
//! for each task.
//! Reference: Chen et al., "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout", NeurIPS 2020,
//! algorithm 1, <https://arxiv.org/abs/2010.06808>.

use candle_core::{DType, Tensor};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};

use super::{
    Aggregated, Aggregator,
    pieces::{Check, Number, Pass, Piece, Sums, rows, run},
};
use crate::{Jacobian, parameter};

/// Sign dropout, coordinate by coordinate, or where the features are known feature by feature.
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
    steps: u64,
}

impl GradDrop {
    /// Signs drawn from a seed; the share `leak` of what is dropped passes.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `leak` outside [0, 1].
    pub fn new(leak: f64, seed: u64) -> Result<Self> {
        Ok(Self { leak: parameter::fraction("leak", leak)?, seed, steps: 0 })
    }
}

impl Aggregator for GradDrop {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let rng = Rng::new(self.seed).fork("graddrop").fork_at(self.steps);
        let gradient = match jacobian.features() {
            Some(features) => AtLayer { rng, leak: self.leak }.gradient(jacobian, features)?,
            None => run(&rows(jacobian), &Signs { rng, leak: self.leak })?.0,
        };
        self.steps += 1;
        Ok(Aggregated { gradient, weights: None })
    }
}

/// The values of one sign.
struct Signs {
    rng: Rng,
    leak: f64,
}

impl Pass for Signs {
    const WRITES: bool = true;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums {
        let count = piece.out.len();
        let drawn = drawn::<T>(self.rng.fork_at(piece.at[0]).fork_at(piece.at[1]), count);
        let (mut up, mut down) = (vec![T::zero(); count], vec![T::zero(); count]);
        for row in piece.rows {
            for ((up, down), value) in up.iter_mut().zip(&mut down).zip(row) {
                *up += if *value > T::zero() { *value } else { T::zero() };
                *down += if *value > T::zero() { T::zero() } else { *value };
            }
        }
        let leak = T::from_f64(self.leak);
        for (((out, up), down), drawn) in piece.out.iter_mut().zip(up).zip(down).zip(drawn) {
            // ½ (1 + (up + down) / (up − down)) = up / (up − down)
            let (kept, dropped) = if drawn * (up - down) < up { (up, down) } else { (down, up) };
            *out = kept + leak * dropped;
        }
        Sums::default()
    }
}

/// The gradients of features, with those of one sign.
struct AtLayer {
    rng: Rng,
    leak: f64,
}

impl AtLayer {
    fn gradient(&self, jacobian: &Jacobian, features: &Named<Tensor>) -> Result<Named<Gradient>> {
        run(&rows(jacobian), &Check)?;
        let mut gradient = Named::default();
        let names = jacobian.rows().values().next().into_iter().flat_map(Named::names);
        for (at, name) in names.enumerate() {
            let rows = jacobian.rows().try_map(|_, row| row.require("block", name)?.clone().into_dense())?;
            let block = self.block(at as u64, &rows, features.require("features", name)?)?;
            gradient.insert(name, Gradient::from(block))?;
        }
        Ok(gradient)
    }

    /// One block of all tasks, `[batch, …]`.
    fn block(&self, at: u64, rows: &Named<Tensor>, features: &Tensor) -> Result<Tensor> {
        // Half precision would not tell sums over a batch from each other.
        let dtype = if features.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let signs = features.to_dtype(dtype)?.sign()?;
        let signed = signs.abs()?.sum(0)?.gt(0.0)?;
        let sums = rows.try_map(|_, row| Ok::<_, Error>((row.to_dtype(dtype)? * &signs)?.sum(0)?))?;
        let total = |part: fn(&Tensor) -> candle_core::Result<Tensor>| {
            let zero = features.to_dtype(dtype)?.get(0)?.zeros_like()?;
            sums.values().try_fold(zero, |total, sum| total + part(sum)?)
        };
        let (up, down) = (total(Tensor::relu)?, total(|sum| sum.neg()?.relu())?);
        let drawn = drawn::<f64>(self.rng.fork_at(at), up.elem_count());
        let drawn = Tensor::from_vec(drawn, up.shape(), up.device())?.to_dtype(dtype)?;
        let positive = (drawn * (&up + down)?)?.lt(&up)?;
        let mut gradient = features.zeros_like()?;
        for (row, sum) in rows.values().zip(sums.values()) {
            let kept = positive.where_cond(&sum.gt(0.0)?, &sum.lt(0.0)?)?;
            let kept = signed.where_cond(&kept, &signed.ones_like()?)?;
            let share = kept.to_dtype(row.dtype())?.affine(1.0 - self.leak, self.leak)?;
            gradient = (gradient + row.broadcast_mul(&share)?)?;
        }
        Ok(gradient)
    }
}

/// Numbers in [0, 1).
fn drawn<T: Number>(mut rng: Rng, count: usize) -> Vec<T> {
    let mut bytes = vec![0; 4 * count];
    rng.fill_bytes(&mut bytes);
    let unit = T::from_f64(1.0 / 16_777_216.0);
    // 24 bits, which an f32 holds: 32 would round up to 1.
    let number = |b: &[u8; 4]| T::from_f64(f64::from(u32::from_le_bytes(*b) >> 8)) * unit;
    bytes.as_chunks::<4>().0.iter().map(number).collect()
}

impl Stateful for GradDrop {
    fn save(&self) -> Result<State> {
        State::of(&self.steps)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.steps = state.read("graddrop")?;
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
