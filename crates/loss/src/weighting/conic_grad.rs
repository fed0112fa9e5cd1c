//! ConicGrad: within an angle of the mean gradient, the update that does most for the task that gains least.
//!
//! With g₀ the mean gradient, returns w with Jᵀw = d, where
//!     d = argmax minᵢ gᵢ·d   over   ‖d‖ ≤ ‖g₀‖,   cos(d, g₀) ≥ c.
//! solved exactly: for a given least gain, the shortest d that also has c along ĝ₀ is a non-negative least squares problem
//! in the cosines of all gradients and g₀, and one search finds the largest (see `least_gain.rs`). Without the angle, d lies
//! along the shortest vector of the convex hull (MGDA). Cost: some such problems of m + 1 unknowns.
//! Guarantees: the angle; the length of g₀; the least gain is not below that of g₀ wherever the latter is ≥ 0. Not: freedom
//! from conflict. Where every direction in the cone harms some task the maximum is d = 0; so as not to stand still, d is then
//! the best of those with c ‖g₀‖ or more along ĝ₀, brought to the length of g₀, and others of that length may harm less.
//! Variants: the paper takes one gradient step on the weights of the dual per update and normalizes the result to the
//! length of g₀; this is the maximum itself. A gradient of 0 takes no part in the least gain. Where g₀ is 0 so is d.
//! Reference: Hassanpour et al., "Fantastic Multi-Task Gradient Updates and How to Find Them In a Cone", 2025,
//! <https://arxiv.org/abs/2502.00217>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting,
    least_gain::LeastGain,
    mgda,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::Gramian;

/// Below this, relative to the lengths that it is made of, a vector is rounding.
const CANCELED: f64 = 1e-7;

/// The largest least gain within an angle of the mean gradient.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `c` | 0.5 | (0, 1] | the smallest cosine between update and mean gradient |
///
/// # Errors
/// [`Error::NotConverged`] where rounding keeps the solver from its tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{ConicGrad, Weighting}};
/// // g₁ = (4, 0), g₂ = (0, 2): g₀ = (2, 1), the shortest vector of the hull lies along (1, 2), at a cosine of 4/5.
/// let gramian = Gramian::new(["class", "mask"], &[[16.0, 0.0], [0.0, 4.0]])?;
/// let weights = ConicGrad::new(0.75)?.weights(&gramian)?; // d = (1, 2), as long as g₀
/// assert!((weights[0] - 0.25).abs() < 1e-9 && (weights[1] - 1.0).abs() < 1e-9);
/// let weights = ConicGrad::new(1.0)?.weights(&gramian)?; // no angle at all: d = g₀
/// assert!((weights[0] - 0.5).abs() < 1e-9 && (weights[1] - 0.5).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct ConicGrad {
    c: f64,
}

impl ConicGrad {
    /// Updates at a cosine of at least `c` to the mean gradient.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `c` outside (0, 1].
    pub fn new(c: f64) -> Result<Self> {
        match c > 0.0 && c <= 1.0 {
            true => Ok(Self { c }),
            false => Err(Error::parameter("c", "a number in (0, 1]", c)),
        }
    }
}

impl Weighting for ConicGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let mean: Vec<f64> = scaled.norms.iter().map(|norm| norm / size as f64).collect();
        let length = scaled.length(&mean);
        if self.c == 1.0 || length <= CANCELED * mean.iter().sum::<f64>() {
            return Ok(uniform(size));
        }
        let share = 1.0 / size as f64;
        let direction = best(&scaled, &mean, self.c)?;
        let factor = length / scaled.length(&direction);
        let x: Vec<f64> = direction.iter().map(|x| x * factor).collect();
        Ok(scaled.weights(&x, size, share))
    }
}

/// The best direction, in weights of unit gradients: that of the shortest d with ûᵢ·d ≥ τ pᵢ and ĝ₀·d ≥ c, for the τ at
/// which its length is 1. It is a combination of the unit gradients and of ĝ₀.
fn best(scaled: &Scaled, mean: &[f64], c: f64) -> Result<Vec<f64>> {
    let (size, length) = (scaled.len(), scaled.length(mean));
    let tilt: Vec<f64> = scaled.times(mean).iter().map(|along| along / length).collect();
    let mut h: Vec<Vec<f64>> =
        scaled.cosines.iter().zip(&tilt).map(|(row, tilt)| [row.as_slice(), &[*tilt]].concat()).collect();
    h.push([tilt.as_slice(), &[1.0]].concat());
    let (mut along, mut pull, mut start) = (vec![0.0; size], scaled.pull(), vec![0.0; size]);
    let low = tilt.iter().zip(&pull).map(|(tilt, pull)| tilt / pull).fold(f64::INFINITY, f64::min);
    // Where gradients cancel, no direction helps them all.
    let high = if mgda::shortest_on_units("conic_grad", scaled)?.is_some() { 1.0 } else { 0.0 };
    along.push(-c);
    pull.push(0.0);
    start.push(1.0);
    let search =
        LeastGain { method: "conic_grad", h: &h, along, pull, radius: 1.0, bounds: [low, high], start };
    let z = search.solve()?.x;
    Ok(z.iter().zip(mean).map(|(own, mean)| own + z[size] * mean / length).collect())
}

stateless!(ConicGrad);

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    c: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { c: 0.5 }
    }
}

impl TryFrom<Fields> for ConicGrad {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.c)
    }
}

impl From<ConicGrad> for Fields {
    fn from(method: ConicGrad) -> Self {
        Self { c: method.c }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The best of many directions in the plane of two gradients.
    fn best(g: [[f64; 2]; 2], c: f64) -> f64 {
        let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
        let mean = [(g[0][0] + g[1][0]) / 2.0, (g[0][1] + g[1][1]) / 2.0];
        let length = dot(mean, mean).sqrt();
        let gain = |i: usize| {
            let angle = c.acos() * (i as f64 / 5000.0 - 1.0);
            let turned = [
                mean[0] * angle.cos() - mean[1] * angle.sin(),
                mean[0] * angle.sin() + mean[1] * angle.cos(),
            ];
            dot(g[0], turned).min(dot(g[1], turned))
        };
        assert!(length > 0.0);
        (0..=10_000).map(gain).fold(f64::NEG_INFINITY, f64::max)
    }

    #[test]
    fn two_tasks_gain_as_much_as_the_best_of_all_angles_gives() {
        for g in [[[3.0, 0.0], [-1.0, 1.0]], [[100.0, 5.0], [-0.3, 1.0]], [[1.0, 0.2], [0.9, -0.1]]] {
            for c in [0.2, 0.5, 0.9, 0.999] {
                let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
                let rows = [[dot(g[0], g[0]), dot(g[0], g[1])], [dot(g[1], g[0]), dot(g[1], g[1])]];
                let gramian = Gramian::new(["a", "b"], &rows).unwrap();
                let w = ConicGrad::new(c).unwrap().weights(&gramian).unwrap();
                let gains = [0, 1].map(|i| gramian[(i, 0)] * w[0] + gramian[(i, 1)] * w[1]);
                let (found, best) = (gains[0].min(gains[1]), best(g, c));
                // Where every direction harms, another measure decides; see the top of the file.
                if best > 0.0 {
                    assert!((found - best).abs() < 1e-3 * best, "{g:?}, c = {c}: {found} and {best}");
                }
            }
        }
    }
}
