//! CAGrad: near the mean gradient, the update that does most for the task that gains least.
//!
//! With g₀ the mean gradient, returns w with Jᵀw = d, where
//!     d = argmax minᵢ gᵢ·d   over   ‖d − g₀‖ ≤ c ‖g₀‖.
//! For a given least gain τ, the nearest d to g₀ with gᵢ·d ≥ τ for all i is g₀ + Jᵀz with z ≥ 0 from a non-negative
//! least squares problem, and its distance from g₀ grows with τ. Between changes of the set of positive zᵢ, z is linear in
//! τ: the τ at which the distance is c ‖g₀‖ is found by solving a quadratic equation on that set, within a bracket that
//! every solution narrows. Guarantees: the least gain is not below that of g₀; c < 1 ends at a stationary point of the mean
//! loss. For c ≥ 1 no task is harmed. Where gradients cancel (0 in their convex hull), τ ends at 0 and d is the nearest to g₀
//! that harms no task.
//! Variants: the common code minimizes its dual on the simplex by SLSQP; this is exact. `rescale` divides the update by 1 or
//! by 1 + c².
//! Reference: Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021,
//! <https://arxiv.org/abs/2110.14048>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting, cone, mgda,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter};

/// How close the distance must come to c ‖g₀‖, relative to it.
const TOLERANCE: f64 = 1e-12;

/// Below this length, relative to the shortest gradient, the shortest vector of the hull is 0.
const CANCELED: f64 = 1e-7;

const LIMIT: usize = 200;

/// Aversion of conflicts near the mean gradient.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `c` | 0.5 | ≥ 0 | how far from the mean gradient, in its lengths |
/// | `rescale` | `none` | `none`, `one_plus_c2` | what the update is divided by |
///
/// # Errors
/// [`Error::NotConverged`] where rounding keeps the solver from its tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{CaGrad, Weighting}};
/// // Orthogonal, length 2 and 1: with c = 0 it is the mean; with more the smaller one gains.
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, 0.0], [0.0, 1.0]])?;
/// assert_eq!(CaGrad::new(0.0)?.weights(&gramian)?, [0.5, 0.5]);
/// let weights = CaGrad::new(0.2)?.weights(&gramian)?;
/// // g₀ = (1, ½), ‖g₀‖ = √1.25: all of 0.2 ‖g₀‖ goes to the second.
/// assert!((weights[0] - 0.5).abs() < 1e-9 && (weights[1] - 0.5 - 0.2 * 1.25f64.sqrt()).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct CaGrad {
    c: f64,
    rescale: Rescale,
}

/// What the update is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescale {
    /// 1.
    #[default]
    None,
    /// 1 + c².
    OnePlusC2,
}

impl CaGrad {
    /// Updates up to `c` lengths of the mean gradient away from it.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `c` that is negative or not finite.
    pub fn new(c: f64) -> Result<Self> {
        Ok(Self { c: parameter::non_negative("c", c)?, rescale: Rescale::None })
    }

    /// The same with updates divided by this.
    pub fn rescaled(self, rescale: Rescale) -> Self {
        Self { rescale, ..self }
    }
}

impl Weighting for CaGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let factor = if self.rescale == Rescale::None { 1.0 } else { 1.0 / (1.0 + self.c * self.c) };
        if scaled.len() == 0 {
            return Ok(uniform(size).into_iter().map(|w| w * factor).collect());
        }
        let share = 1.0 / size as f64;
        let mean: Vec<f64> = scaled.norms.iter().map(|norm| norm * share).collect();
        // A gradient of 0 gains 0 from any update: with one, nothing can make the least gain positive.
        let more = Search::new(&scaled, &mean, self.c, size > scaled.len())?.run()?;
        let sums: Vec<f64> = mean.iter().zip(more).map(|(mean, more)| (mean + more) * factor).collect();
        Ok(scaled.weights(&sums, size, share * factor))
    }
}

stateless!(CaGrad);

/// The search for the least gain at which the update is c ‖g₀‖ away from g₀. Unknowns are those of unit gradients.
struct Search<'a> {
    scaled: &'a Scaled,
    /// ûᵢ·g₀.
    along: Vec<f64>,
    /// 1 / ‖gᵢ‖ over the largest of them: a gain of τ is one of τ pullᵢ along ûᵢ.
    pull: Vec<f64>,
    radius: f64,
    bracket: [f64; 2],
}

impl<'a> Search<'a> {
    fn new(scaled: &'a Scaled, mean: &[f64], c: f64, zeros: bool) -> Result<Self> {
        let least = scaled.norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
        let pull: Vec<f64> = scaled.norms.iter().map(|norm| least / norm).collect();
        let (along, length) = (scaled.times(mean), scaled.length(mean));
        let low = along.iter().zip(&pull).map(|(along, pull)| along / pull).fold(f64::INFINITY, f64::min);
        // No gradient gains more than its length times that of the update.
        let most = length * (1.0 + c);
        let high = if zeros || canceled(scaled, least)? { most.min(0.0) } else { most };
        Ok(Self { scaled, along, pull, radius: c * length, bracket: [low, high.max(low)] })
    }

    fn run(mut self) -> Result<Vec<f64>> {
        let mut z = vec![0.0; self.pull.len()];
        if self.radius == 0.0 || self.bracket[0] >= self.bracket[1] {
            return Ok(z);
        }
        let mut gain = self.bracket[1];
        let mut error = f64::INFINITY;
        for i in 0..LIMIT {
            let Some(nearest) = self.nearest(gain)? else {
                self.bracket[1] = gain;
                gain = 0.5 * (self.bracket[0] + gain);
                continue;
            };
            z = nearest;
            let distance = self.scaled.length(&z);
            error = (distance - self.radius) / self.radius;
            // At the upper end of the bracket the distance may stay below: no update does more.
            if error.abs() <= TOLERANCE || i == 0 && error < 0.0 {
                return Ok(z);
            }
            self.bracket[usize::from(error > 0.0)] = gain;
            let [low, high] = self.bracket;
            if high - low <= 1e-15 * low.abs().max(high.abs()) {
                return Ok(z);
            }
            let next = self.on_the_set(&z, gain).filter(|next| low < *next && *next < high);
            gain = next.unwrap_or(0.5 * (low + high));
        }
        Err(Error::NotConverged { method: "cagrad".into(), iterations: LIMIT, residual: error.abs() })
    }

    /// z ≥ 0 of the update nearest to g₀ on which every task gains at least `gain`; nothing where none does.
    fn nearest(&self, gain: f64) -> Result<Option<Vec<f64>>> {
        let wanted: Vec<f64> = self.pull.iter().zip(&self.along).map(|(p, a)| gain * p - a).collect();
        match cone::minimum(&self.scaled.cosines, &wanted) {
            Err(Error::NotConverged { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The gain at which the distance is the radius if the same zᵢ stay positive: z + t y, with C y = pull on the set.
    fn on_the_set(&self, z: &[f64], gain: f64) -> Option<f64> {
        let set: Vec<usize> = (0..z.len()).filter(|i| z[*i] > 0.0).collect();
        let c = nalgebra::DMatrix::from_fn(set.len(), set.len(), |i, j| self.scaled.cosines[set[i]][set[j]]);
        let pull = nalgebra::DVector::from_iterator(set.len(), set.iter().map(|i| self.pull[*i]));
        let now = nalgebra::DVector::from_iterator(set.len(), set.iter().map(|i| z[*i]));
        let y = nalgebra::Cholesky::new(c.clone())?.solve(&pull);
        let (square, slope, curve) = (now.dot(&(c * &now)), now.dot(&pull), y.dot(&pull));
        // square + 2 t slope + t² curve = radius²; the distance grows with t.
        let root = (slope * slope - curve * (square - self.radius * self.radius)).max(0.0).sqrt();
        Some(gain + (root - slope) / curve).filter(|next| next.is_finite())
    }
}

/// Whether 0 is in the convex hull of the gradients.
fn canceled(scaled: &Scaled, least: f64) -> Result<bool> {
    let alpha = mgda::shortest(&scaled.cosines, &scaled.norms)?;
    let on_units: Vec<f64> = alpha.iter().zip(&scaled.norms).map(|(alpha, norm)| alpha * norm).collect();
    Ok(scaled.length(&on_units) <= CANCELED * least)
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    c: f64,
    rescale: Rescale,
}

impl Default for Fields {
    fn default() -> Self {
        Self { c: 0.5, rescale: Rescale::None }
    }
}

impl TryFrom<Fields> for CaGrad {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self::new(fields.c)?.rescaled(fields.rescale))
    }
}

impl From<CaGrad> for Fields {
    fn from(method: CaGrad) -> Self {
        Self { c: method.c, rescale: method.rescale }
    }
}
