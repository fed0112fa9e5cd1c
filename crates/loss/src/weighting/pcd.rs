//! PCD: one task comes first, and the others are owed a share of the step that they would take alone.
//!
//! With unit gradients ûᵢ and the primary task p, returns w with Jᵀw = d, where
//!     d = argmin ‖d − û_p‖²   over   ûⱼ·d ≥ τ for all j ≠ p.
//! The solution is û_p + Σ zⱼûⱼ with z ≥ 0 from one non-negative least squares problem in the matrix of cosines. Guarantees:
//! ûⱼ·d ≥ τ for every secondary task, whatever the scale of its loss; the primary direction is bent no more than that
//! takes. Where the secondary tasks contradict each other there may be no such d, and an error says so. Not: that the primary
//! task gains.
//! Variants: gradients are divided by their norm; the paper divides by a running mean of it. The length of d is therefore
//! about 1, not that of a gradient. A gradient of 0 takes no part and gets the weight 0.
//! Reference: Varam and AlHajri, "Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical
//! Multi-Objective Optimization", 2026, <https://arxiv.org/abs/2606.29521>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{
    Weighting, cone,
    scaled::{Scaled, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter};

/// One task first, a share of progress for the others.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `tau` | required | [0, 1] | the share of its own step that each secondary task is owed |
/// | `primary` | the first | a task | which task comes first |
///
/// # Errors
/// [`Error::Unknown`] for a primary task that is not there, [`Error::NotConverged`] where there is no solution.
///
/// # Example
/// Two tasks: d = û₁ + (τ − cos θ) û₂ where that is more than nothing.
/// ```
/// use taskweave_loss::{Gramian, weighting::{Pcd, Weighting}};
/// // cos θ = −½, lengths 1 and 2.
/// let gramian = Gramian::new(["class", "size"], &[[1.0, -1.0], [-1.0, 4.0]])?;
/// let weights = Pcd::new(0.25)?.weights(&gramian)?;
/// assert!((weights[0] - 1.0).abs() < 1e-12 && (weights[1] - 0.75 / 2.0).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Pcd {
    tau: f64,
    primary: Option<String>,
}

impl Pcd {
    /// The first task comes first, the others are owed the share `tau`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside [0, 1].
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: parameter::fraction("tau", tau)?, primary: None })
    }

    /// The same with another task first.
    pub fn primary(self, task: impl Into<String>) -> Self {
        Self { primary: Some(task.into()), ..self }
    }

    fn row(&self, gramian: &Gramian) -> Result<usize> {
        let Some(primary) = &self.primary else { return Ok(0) };
        gramian.tasks().position(|task| task == primary).ok_or_else(|| Error::Unknown {
            what: "primary task".into(),
            name: primary.clone(),
            known: gramian.tasks().map(String::from).collect(),
        })
    }
}

impl Weighting for Pcd {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled, primary) = (gramian.len(), Scaled::of(gramian), self.row(gramian)?);
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        let others: Vec<usize> = (0..scaled.len()).filter(|i| scaled.rows[*i] != primary).collect();
        let first = scaled.rows.iter().position(|row| *row == primary);
        let cosine = |i: usize, j: usize| scaled.cosines[i][j];
        let h: Vec<Vec<f64>> =
            others.iter().map(|&i| others.iter().map(|&j| cosine(i, j)).collect()).collect();
        let owed: Vec<f64> =
            others.iter().map(|&i| self.tau - first.map_or(0.0, |first| cosine(i, first))).collect();
        let z = cone::minimum("pcd", &h, &owed)?.x;
        let mut x = vec![0.0; scaled.len()];
        first.into_iter().for_each(|first| x[first] = 1.0);
        others.iter().zip(z).for_each(|(i, z)| x[*i] = z);
        Ok(scaled.weights(&x, size, 0.0))
    }
}

stateless!(Pcd);

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    tau: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
}

impl TryFrom<Fields> for Pcd {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self { primary: fields.primary, ..Self::new(fields.tau)? })
    }
}

impl From<Pcd> for Fields {
    fn from(method: Pcd) -> Self {
        Self { tau: method.tau, primary: method.primary }
    }
}
