//! CAGrad: near the mean gradient, the update that does most for the task that gains least.
//!
//! With g₀ the mean gradient, returns w with Jᵀw = d, where
//!     d = argmax minᵢ gᵢ·d   over   ‖d − g₀‖ ≤ c ‖g₀‖,
//! solved exactly (see `least_gain.rs`). Cost: some non-negative least squares problems of m unknowns. Guarantees: the least gain is not below that of g₀; c < 1 ends at a stationary point of the mean
//! loss. For c ≥ 1 no task is harmed. Where gradients cancel (0 in their convex hull), τ ends at 0 and d is the nearest to g₀
//! that harms no task.
//! Variants: the common code minimizes its dual on the simplex by SLSQP; this is exact. `rescale` divides the update by 1 or
//! by 1 + c².
//! Reference: Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021,
//! <https://arxiv.org/abs/2110.14048>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting,
    least_gain::LeastGain,
    mgda,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter};

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
        let length = scaled.length(&mean);
        // A gradient of 0 gains 0 from any update: with one, nothing can make the least gain positive.
        let bounded = size > scaled.len() || mgda::shortest_on_units("cagrad", &scaled)?.is_none();
        let (along, pull) = (scaled.times(&mean), scaled.pull());
        let low = along.iter().zip(&pull).map(|(along, pull)| along / pull).fold(f64::INFINITY, f64::min);
        // No gradient gains more than its length times that of the update.
        let high = if bounded { 0.0 } else { length * (1.0 + self.c) };
        let search = LeastGain {
            method: "cagrad",
            h: &scaled.cosines,
            along,
            pull,
            radius: self.c * length,
            bounds: [low, high],
            start: vec![0.0; scaled.len()],
        };
        let more = search.solve()?.x;
        let sums: Vec<f64> = mean.iter().zip(more).map(|(mean, more)| (mean + more) * factor).collect();
        Ok(scaled.weights(&sums, size, share * factor))
    }
}

stateless!(CaGrad);

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
