//! FairGrad: gains shared by α-fairness.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns w > 0 with
//!     G w = w^(−1/α)   (element by element),
//! the update on which Σ u(gᵢ·d) is largest for utilities of constant relative risk aversion α: α = 1 is Nash-MTL, and
//! larger α cares more for the task that gains least. Solved by damped Newton in the matrix of cosines. Guarantees:
//! gᵢ·d > 0 for every task. Where 0 is in the interior of the convex hull there is no solution, and an error says so.
//! The equations hold as far as rounding of w and G lets them. Degrees from 0.5 to 3 are solved for norms over 10^±6; outside,
//! where norms are far apart, the gain that a task is owed may lie beneath rounding or the range of f64: then it is 0 to 1e-9 of
//! Σ wⱼ‖gⱼ‖, or an error says so.
//! Variants: as in the paper; the common code stops a general least-squares solver early. A gradient of 0 takes no part
//! and gets the weight 0.
//! Reference: Ban and Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024,
//! <https://arxiv.org/abs/2402.15638>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting, newton,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter};

/// Gains shared by α-fairness.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `alpha` | 1 | > 0 | how much the task that gains least counts |
///
/// # Errors
/// [`Error::NotConverged`] where there is no solution.
///
/// # Example
/// One task: G w = w^(−1/α) is w = G^(−α / (1 + α)).
/// ```
/// use taskweave_loss::{Gramian, weighting::{FairGrad, Weighting}};
/// let weights = FairGrad::new(2.0)?.weights(&Gramian::new(["class"], &[[8.0]])?)?;
/// assert!((weights[0] - 0.25).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct FairGrad {
    alpha: f64,
}

impl FairGrad {
    /// Fairness of degree `alpha`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a degree that is not a finite number > 0.
    pub fn new(alpha: f64) -> Result<Self> {
        Ok(Self { alpha: parameter::positive("alpha", alpha)? })
    }
}

impl Weighting for FairGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        // With wᵢ = qᵢ / ‖gᵢ‖ the equations are (C q)ᵢ = ‖gᵢ‖^(r − 1) qᵢ^(−r), r = 1/α: bᵢ = ‖gᵢ‖^((r − 1) / (r + 1)).
        let power = (1.0 - self.alpha) / (1.0 + self.alpha);
        let b: Vec<f64> = scaled.norms.iter().map(|norm| norm.powf(power)).collect();
        let q = newton::fair("fairgrad", &scaled, &b, 1.0 / self.alpha)?.x;
        Ok(scaled.weights(&q, size, 0.0))
    }
}

stateless!(FairGrad);

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    alpha: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl TryFrom<Fields> for FairGrad {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.alpha)
    }
}

impl From<FairGrad> for Fields {
    fn from(method: FairGrad) -> Self {
        Self { alpha: method.alpha }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_gradients_are_the_closed_form_for_any_degree_and_units() {
        // w ‖g‖² = w^(−1/α).
        for alpha in [0.005, 0.1, 0.5, 1.0, 3.0, 100.0] {
            for (a, b) in [(1e-4, 1e-4), (1e4, 2e4), (1e-3, 1e3), (1e-40, 1e-40)] {
                let gramian = Gramian::new(["a", "b"], &[[a * a, 0.0], [0.0, b * b]]).unwrap();
                let weights = FairGrad::new(alpha).unwrap().weights(&gramian).unwrap();
                for (weight, norm) in weights.iter().zip([a, b]) {
                    let expected = norm.powf(-2.0 * alpha / (1.0 + alpha));
                    assert!(
                        (weight / expected - 1.0).abs() < 1e-9,
                        "α = {alpha}, {norm}: {weight}, {expected}"
                    );
                }
            }
        }
    }
}
