//! The step of bounded length on which the task that gains least gains most.
//!
//! ```text
//! maximize  τ   over r, τ   with   aᵢ + hᵢ·r ≥ τ pᵢ for all i,   ‖r‖ ≤ ρ
//! ```
//! given the products H = (hᵢ·hⱼ), so that r = Σ zᵢ hᵢ. For a given τ, the shortest r has z ≥ 0 from a non-negative
//! least squares problem, and its length grows with τ. Between changes of the set of positive zᵢ, z is linear in τ: the τ
//! at which the length is ρ solves a quadratic equation on that set, within a bracket that every solution narrows.

use taskweave_kernels::{Error, Result};

use super::{
    cone::{self, Solved},
    factor::{Factor, dot},
};

/// How close the length must come to ρ, relative to it.
const TOLERANCE: f64 = 1e-12;

/// Below this, relative to the lengths that it is made of, a step is rounding.
const CANCELED: f64 = 1e-7;

const LIMIT: usize = 200;

/// The problem; rows and their numbers are those of unit gradients.
pub(super) struct LeastGain<'a> {
    /// Whose problem it is.
    pub(super) method: &'static str,
    /// H, symmetric and positive semi-definite.
    pub(super) h: &'a [Vec<f64>],
    /// aᵢ.
    pub(super) along: Vec<f64>,
    /// pᵢ ≥ 0.
    pub(super) pull: Vec<f64>,
    /// ρ.
    pub(super) radius: f64,
    /// A τ that can be had, and what no τ exceeds.
    pub(super) bounds: [f64; 2],
    /// z ≥ 0 for the first of them.
    pub(super) start: Vec<f64>,
}

impl LeastGain<'_> {
    /// z ≥ 0 of the best step.
    ///
    /// # Errors
    /// [`Error::NotConverged`] with the distance from ρ, relative to it.
    pub(super) fn solve(&self) -> Result<Solved> {
        let [mut low, mut high] = self.bounds;
        let (scale, mut z) = (low.abs().max(high.abs()), self.start.clone());
        if self.radius == 0.0 || low >= high {
            return Ok(Solved { x: z, residual: 0.0 });
        }
        let (mut gain, mut error) = (high, f64::INFINITY);
        for i in 0..LIMIT {
            let Some(shortest) = self.shortest(gain, &z)? else {
                high = gain;
                if high - low <= 1e-15 * scale {
                    return Ok(Solved { x: z, residual: 0.0 });
                }
                gain = 0.5 * (low + high);
                continue;
            };
            z = shortest;
            error = (self.length(&z) - self.radius) / self.radius;
            // At the upper end of the bracket the length may stay below: no step does more.
            let all = i == 0 && error < 0.0;
            *(if error > 0.0 { &mut high } else { &mut low }) = gain;
            if all || error.abs() <= TOLERANCE || high - low <= 1e-15 * scale {
                return Ok(Solved { x: z, residual: if all { 0.0 } else { error.abs() } });
            }
            let next = self.on_the_set(&z, gain).filter(|next| low < *next && *next < high);
            gain = next.unwrap_or(0.5 * (low + high));
        }
        Err(Error::NotConverged { method: self.method.into(), iterations: LIMIT, residual: error.abs() })
    }

    /// z ≥ 0 of the shortest step with this gain, looked for from another; nothing where there is none.
    fn shortest(&self, gain: f64, from: &[f64]) -> Result<Option<Vec<f64>>> {
        let wanted: Vec<f64> = self.pull.iter().zip(&self.along).map(|(p, a)| gain * p - a).collect();
        match cone::minimum_from(self.method, self.h, &wanted, from) {
            Err(Error::NotConverged { .. }) => Ok(None),
            // A sum that cancels but for rounding is no step: past the last gain there are such.
            found => found.map(|solved| {
                let sum: f64 = solved.x.iter().sum();
                (sum == 0.0 || self.length(&solved.x) > CANCELED * sum).then_some(solved.x)
            }),
        }
    }

    /// ‖Σ zᵢ hᵢ‖.
    fn length(&self, z: &[f64]) -> f64 {
        let square = self.h.iter().zip(z).filter(|(_, z)| **z > 0.0).map(|(row, zi)| zi * dot(row, z));
        square.sum::<f64>().max(0.0).sqrt()
    }

    /// The gain at which the length is ρ if the same zᵢ stay positive: z + t y, with H y = p on the set.
    fn on_the_set(&self, z: &[f64], gain: f64) -> Option<f64> {
        let mut factor = Factor::new(self.h);
        for i in (0..z.len()).filter(|i| z[*i] > 0.0) {
            factor.push(i);
        }
        let along_pull = |(p, y): (&usize, f64)| y * self.pull[*p];
        let slope: f64 = factor.set.iter().map(|p| z[*p] * self.pull[*p]).sum();
        let curve: f64 = factor.set.iter().zip(factor.solve(&self.pull)).map(along_pull).sum();
        let square = self.length(z).powi(2);
        // square + 2 t slope + t² curve = ρ²; the length grows with t.
        let root = (slope * slope - curve * (square - self.radius * self.radius)).max(0.0).sqrt();
        Some(gain + (root - slope) / curve).filter(|next| next.is_finite())
    }
}
