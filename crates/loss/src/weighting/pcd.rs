//! PCD: one task comes first, and the others are owed a share of the step that they would take alone.
//!
//! Gradients are divided by the root of a running mean of their squared norms, nᵢ² ← β nᵢ² + (1 − β) ‖gᵢ‖² (corrected for its
//! start at 0): g̃ᵢ = gᵢ / nᵢ. With the primary task p, returns w with Jᵀw = d as long as g_p and in the direction of
//!     argmin ‖x − g̃_p‖²   over   g̃ⱼ·x ≥ τ ‖g̃ⱼ‖² for all j ≠ p.
//! The solution is g̃_p + Σ zⱼg̃ⱼ with z ≥ 0 from one non-negative least squares problem in the matrix of cosines. Guarantees:
//! every secondary task gains, whatever the scale of its loss; the primary direction is bent no more than that takes. Where
//! the secondary tasks contradict each other there may be no such x, and an error says so. Not: that the primary task gains.
//! Variants: as the paper; the length of d is that of g_p. A gradient of 0 takes no part and gets the weight 0; where it is
//! that of the primary task, all weights are 0.
//! Reference: Varam and AlHajri, "Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical
//! Multi-Objective Optimization", 2026, <https://arxiv.org/abs/2606.29521>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Weighting, cone, scaled::Scaled};
use crate::{Gramian, known_tasks::KnownTasks, parameter};

/// One task first, a share of progress for the others.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `tau` | 0.02 | [0, 1] | the share of its own step that each secondary task is owed |
/// | `beta` | 0.999 | [0, 1) | how slowly the norms follow |
/// | `primary` | the first | a task | which task comes first |
///
/// # Errors
/// [`Error::Unknown`] for a primary task that is not there, [`Error::NotConverged`] where there is no solution,
/// [`Error::Shape`] for another number of tasks than before.
///
/// # Example
/// Two tasks: the direction is û₁ + (τ − cos θ) û₂ where that is more than nothing.
/// ```
/// use taskweave_loss::{Gramian, weighting::{Pcd, Weighting}};
/// // cos θ = −½, lengths 1 and 2.
/// let gramian = Gramian::new(["class", "size"], &[[1.0, -1.0], [-1.0, 4.0]])?;
/// let weights = Pcd::new(0.0)?.weights(&gramian)?;
/// // û₁ + ½ û₂ has the length √¾, and is brought to 1.
/// let root = 0.75f64.sqrt();
/// assert!((weights[0] - 1.0 / root).abs() < 1e-12 && (weights[1] - 0.25 / root).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Pcd {
    fields: Fields,
    seen: Seen,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    steps: u64,
    tasks: KnownTasks,
    squares: Vec<f64>,
}

impl Pcd {
    /// The first task comes first, the others are owed the share `tau`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside [0, 1].
    pub fn new(tau: f64) -> Result<Self> {
        Self::try_from(Fields { tau, ..Fields::default() })
    }

    /// The same with another task first.
    pub fn primary(self, task: impl Into<String>) -> Self {
        Self { fields: Fields { primary: Some(task.into()), ..self.fields }, ..self }
    }

    fn row(&self, gramian: &Gramian) -> Result<usize> {
        let Some(primary) = &self.fields.primary else { return Ok(0) };
        gramian.tasks().position(|task| task == primary).ok_or_else(|| Error::Unknown {
            what: "primary task".into(),
            name: primary.clone(),
            known: gramian.tasks().map(String::from).collect(),
        })
    }
}

impl Pcd {
    /// ‖gᵢ‖ / nᵢ of every task; 0 for a gradient that is 0.
    fn lengths(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let Seen { steps, tasks, squares } = &mut self.seen;
        tasks.require("Gramian", gramian.tasks())?;
        let (size, beta) = (gramian.len(), self.fields.beta);
        if squares.is_empty() {
            *squares = vec![0.0; size];
        }
        if squares.len() != size {
            return Err(Error::shape("Gramian", format!("[{0}, {0}] as before", squares.len()), &[size; 2]));
        }
        *steps += 1;
        let seen = 1.0 - beta.powf(*steps as f64);
        let length = |(i, square): (usize, &mut f64)| {
            *square = beta * *square + (1.0 - beta) * gramian[(i, i)];
            if gramian[(i, i)] > 0.0 { (gramian[(i, i)] / (*square / seen)).sqrt() } else { 0.0 }
        };
        Ok(squares.iter_mut().enumerate().map(length).collect())
    }
}

impl Weighting for Pcd {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled, primary) = (gramian.len(), Scaled::of(gramian), self.row(gramian)?);
        let lengths = self.lengths(gramian)?;
        let Some(first) = scaled.rows.iter().position(|row| *row == primary) else {
            return Ok(vec![0.0; size]);
        };
        let others: Vec<usize> = (0..scaled.len()).filter(|i| *i != first).collect();
        let cosine = |i: usize, j: usize| scaled.cosines[i][j];
        let h: Vec<Vec<f64>> =
            others.iter().map(|&i| others.iter().map(|&j| cosine(i, j)).collect()).collect();
        let owed: Vec<f64> = (others.iter())
            .map(|&i| self.fields.tau * lengths[scaled.rows[i]] - lengths[primary] * cosine(i, first))
            .collect();
        let z = cone::minimum("pcd", &h, &owed)?.x;
        let mut x = vec![0.0; scaled.len()];
        x[first] = lengths[primary];
        others.iter().zip(z).for_each(|(i, z)| x[*i] = z);
        let length = scaled.length(&x);
        // Where the primary gradient is wholly taken back there is no direction.
        let factor = if length > 1e-7 * x.iter().sum::<f64>() { scaled.norms[first] / length } else { 0.0 };
        Ok(scaled.weights(&x.iter().map(|x| x * factor).collect::<Vec<_>>(), size, 0.0))
    }
}

impl Stateful for Pcd {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.seen = state.read("pcd")?;
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    tau: f64,
    beta: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { tau: 0.02, beta: 0.999, primary: None }
    }
}

impl TryFrom<Fields> for Pcd {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        parameter::fraction("tau", fields.tau)?;
        parameter::below_one("beta", fields.beta)?;
        Ok(Self { fields, seen: Seen::default() })
    }
}

impl From<Pcd> for Fields {
    fn from(method: Pcd) -> Self {
        method.fields
    }
}
