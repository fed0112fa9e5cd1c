//! Nash-MTL: the update on which the tasks, as players, would agree.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns w > 0 with
//!     G w = 1 / w   (element by element),
//! the Nash bargaining solution: the product of the tasks' gains gᵢ·d is largest. Solved by damped Newton in the matrix
//! of cosines. Cost: some Cholesky decompositions of m × m. Guarantees: gᵢ·d > 0 for every task; wᵢgᵢ does not depend on
//! the length of gᵢ, so that no task dominates by its units. Where 0 is in the interior of the convex hull (Pareto
//! stationary), there is no agreement, and an error says so; so it does where gradients are opposed up to an angle of some
//! 1e-6, at which w is rounding. Short of that the equations hold as far as rounding of w and G lets them.
//! Variants: no bound on w but `max_norm`; the paper solves the same equations by a sequence of convex programs. Wrap
//! in [`Every`](super::Every) to bargain anew only at each n-th step. A gradient of 0 takes no part and gets the weight 0.
//! Reference: Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, <https://arxiv.org/abs/2202.01017>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting, newton,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter};

/// The Nash bargaining solution.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `max_norm` | none | > 0 | a longer update is shortened to this norm |
///
/// # Errors
/// [`Error::NotConverged`] where there is no solution.
///
/// # Example
/// Two tasks: wᵢ = 1 / (‖gᵢ‖ √(1 + cos θ)).
/// ```
/// use taskweave_loss::{Gramian, weighting::{NashMtl, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, 0.0], [0.0, 0.25]])?;
/// let weights = NashMtl::default().weights(&gramian)?;
/// assert!((weights[0] - 0.5).abs() < 1e-9 && (weights[1] - 2.0).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct NashMtl {
    max_norm: Option<f64>,
}

impl NashMtl {
    /// The same, with updates shortened to `max_norm`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a norm that is not a finite number > 0.
    pub fn max_norm(max_norm: f64) -> Result<Self> {
        Ok(Self { max_norm: Some(parameter::positive("max_norm", max_norm)?) })
    }
}

impl Weighting for NashMtl {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        let q = newton::fair("nash_mtl", &scaled, &vec![1.0; scaled.len()], 1.0)?.x;
        let shorter = self.max_norm.map_or(1.0, |most| (most / scaled.length(&q)).min(1.0));
        Ok(scaled.weights(&q.iter().map(|q| q * shorter).collect::<Vec<_>>(), size, 0.0))
    }
}

stateless!(NashMtl);

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    max_norm: Option<f64>,
}

impl TryFrom<Fields> for NashMtl {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        fields.max_norm.map_or_else(|| Ok(Self::default()), Self::max_norm)
    }
}

impl From<NashMtl> for Fields {
    fn from(method: NashMtl) -> Self {
        Self { max_norm: method.max_norm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tasks_are_the_closed_form_whatever_their_units() {
        for (a, b, cosine) in [(1.0, 1.0, 0.3), (1e3, 1e-3, -0.9), (2.0, 5.0, 0.999)] {
            let g = a * b * cosine;
            let gramian = Gramian::new(["a", "b"], &[[a * a, g], [g, b * b]]).unwrap();
            let w = NashMtl::default().weights(&gramian).unwrap();
            let root = (1.0 + f64::sqrt(1.0) * cosine).sqrt();
            assert!((w[0] * a * root - 1.0).abs() < 1e-8 && (w[1] * b * root - 1.0).abs() < 1e-8, "{w:?}");
        }
    }

    #[test]
    fn nearly_opposed_gradients_still_agree() {
        for angle in [1e-1, 1e-2, 1e-3, 1e-4, 1e-5] {
            let (a, b) = ([2.0f64, 0.5], std::f64::consts::PI - angle);
            let g = [a, [a[0] * b.cos() - a[1] * b.sin(), a[0] * b.sin() + a[1] * b.cos()]];
            let dot = |i: usize, j: usize| g[i][0] * g[j][0] + g[i][1] * g[j][1];
            let gramian =
                Gramian::new(["a", "b"], &[[dot(0, 0), dot(0, 1)], [dot(1, 0), dot(1, 1)]]).unwrap();
            let weights = NashMtl::default().weights(&gramian).unwrap();
            // wᵢ‖g‖ = 1 / √(1 + cos θ) = 1 / (√2 sin(angle / 2)).
            let expected = 1.0 / (dot(0, 0).sqrt() * 2f64.sqrt() * (angle / 2.0).sin());
            let limit = 1e-15 / angle / angle + 1e-9;
            assert!(
                weights.iter().all(|w| (w / expected - 1.0).abs() < limit),
                "{angle}: {weights:?}, {expected}"
            );
        }
    }

    #[test]
    fn opposed_gradients_do_not_agree_and_long_updates_are_shortened() {
        let opposed = Gramian::new(["a", "b"], &[[1.0, -1.0], [-1.0, 1.0]]).unwrap();
        assert!(matches!(NashMtl::default().weights(&opposed), Err(Error::NotConverged { .. })));
        let alone = Gramian::new(["a"], &[[4.0]]).unwrap();
        let w = NashMtl::max_norm(0.1).unwrap().weights(&alone).unwrap();
        assert!((w[0] - 0.05).abs() < 1e-12);
    }
}
