//! PCD: one task comes first, and the others are owed a share of the step that they would take alone.
//!
//! Gradients are divided by the root of a running mean of their squared norms, nᵢ² ← β nᵢ² + (1 − β) ‖gᵢ‖² (corrected for its
//! start at 0): g̃ᵢ = gᵢ / nᵢ. With the primary task p, returns w with Jᵀw = d as long as g_p and in the direction of
//!     argmin ‖x − g̃_p‖²   over   g̃ⱼ·x ≥ τ ‖g̃ⱼ‖² for all j ≠ p.
//! The solution is g̃_p + Σ zⱼg̃ⱼ with z ≥ 0 from one non-negative least squares problem in the matrix of cosines. Guarantees:
//! every secondary task gains, whatever the scale of its loss; the primary direction is bent no more than that takes. Where
//! the secondary tasks contradict each other there may be no such x, and an error says so. Not: that the primary task gains.
//! Variants: as the paper's algorithm 1, with its length ‖g_p‖ of d and its halt where g_p = 0, in three points apart: the
//! paper adds 1e-8 to nᵢ², which here would tie the method to the units of the losses; it drops all constraints of a step that
//! has no solution, where this is an error; and it takes the first task for the primary one. A gradient of 0 takes no part
//! and gets the weight 0; a step that lacks the primary task has no direction.
//! Reference: Varam and AlHajri, "Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical
//! Multi-Objective Optimization", 2026, <https://arxiv.org/abs/2606.29521>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Weighting, cone, scaled::Scaled};
use crate::{Gramian, attempt::attempt, known_tasks::KnownTasks, parameter};

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
/// [`Error::Shape`] for other tasks than before, or than were [named](Weighting::prepare); the state is as it was then.
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
    tasks: KnownTasks,
    /// Of every known task: how often it was there, and the running mean of ‖g‖², not yet made up for its start at 0.
    squares: Vec<(u64, f64)>,
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

    /// The row of the primary task, nothing where the step lacks it.
    fn row(&self, gramian: &Gramian, places: &[usize]) -> Result<Option<usize>> {
        let Some(primary) = &self.fields.primary else {
            return Ok(places.iter().position(|place| *place == 0));
        };
        let row = gramian.tasks().position(|task| task == primary);
        if row.is_none() && !self.seen.tasks.names().contains(primary) {
            return Err(Error::Unknown {
                what: "primary task".into(),
                name: primary.clone(),
                known: self.seen.tasks.names().to_vec(),
            });
        }
        Ok(row)
    }

    /// ‖gᵢ‖ / nᵢ of every task at these places; 0 for a gradient that is 0.
    fn lengths(&mut self, gramian: &Gramian, places: &[usize]) -> Vec<f64> {
        let (beta, squares) = (self.fields.beta, &mut self.seen.squares);
        let length = |(i, place): (usize, &usize)| {
            let (steps, square) = &mut squares[*place];
            *steps += 1;
            *square = beta * *square + (1.0 - beta) * gramian[(i, i)];
            let mean = *square / (1.0 - beta.powf(*steps as f64));
            if gramian[(i, i)] > 0.0 { (gramian[(i, i)] / mean).sqrt() } else { 0.0 }
        };
        places.iter().enumerate().map(length).collect()
    }

    fn bent(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let (tasks, places) = self.seen.tasks.places("Gramian", gramian.tasks())?;
        self.seen.squares.resize(tasks.len(), (0, 0.0));
        self.seen.tasks = tasks;
        let primary = self.row(gramian, &places)?;
        let lengths = self.lengths(gramian, &places);
        let live = scaled.rows.iter().position(|row| Some(*row) == primary);
        let (Some(first), Some(primary)) = (live, primary) else { return Ok(vec![0.0; size]) };
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

impl Weighting for Pcd {
    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.seen.tasks.name(tasks)
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        attempt(self, |pcd| pcd.bent(gramian))
    }
}

impl Stateful for Pcd {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let seen: Seen = state.read("pcd")?;
        if seen.squares.len() > seen.tasks.len() {
            return Err(Error::state("pcd", "no more norms than tasks", seen.squares.len()));
        }
        self.seen = Seen { tasks: self.seen.tasks.restored(seen.tasks)?, ..seen };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}, not {expected:?}"
        );
    }

    #[test]
    fn two_secondary_tasks_across_each_other_are_both_served() {
        // cos −½ to the first task and 0 between the others, all of length 1: x = û₁ + ½ û₂ + ½ û₃, ‖x‖² = ½.
        let rows = [[1.0, -0.5, -0.5], [-0.5, 1.0, 0.0], [-0.5, 0.0, 1.0]];
        let weights = Pcd::new(0.0).unwrap().weights(&Gramian::new(["a", "b", "c"], &rows).unwrap()).unwrap();
        let root = 2f64.sqrt();
        close(&weights, &[root, root / 2.0, root / 2.0]);
    }

    #[test]
    fn what_is_owed_is_a_share_of_the_running_length() {
        let mut pcd = Pcd::try_from(Fields { tau: 0.5, beta: 0.5, primary: Some("a".into()) }).unwrap();
        // cos −½; the secondary gradient grows from the length 2 to 4.
        let gramian = |b: f64| Gramian::new(["a", "b"], &[[1.0, -b / 2.0], [-b / 2.0, b * b]]).unwrap();
        // First all lengths are 1: z = ½ + ½ and ‖x‖² = 1 + z² − z = 1.
        close(&pcd.weights(&gramian(2.0)).unwrap(), &[1.0, 0.5]);
        // n² = (¼ · 4 + ½ · 16) / ¾ = 12, so that ‖g̃‖ = 2 / √3 and z = 1 / √3 + ½.
        let z = 1.0 / 3f64.sqrt() + 0.5;
        let length = (1.0 + z * z - z).sqrt();
        close(&pcd.weights(&gramian(4.0)).unwrap(), &[1.0 / length, z / 4.0 / length]);
    }

    #[test]
    fn a_primary_gradient_of_zero_halts_and_opposed_secondary_ones_are_an_error() {
        let gramian = |rows: &[[f64; 3]; 3]| Gramian::new(["a", "b", "c"], rows).unwrap();
        let zero = gramian(&[[0.0; 3], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(Pcd::new(0.1).unwrap().weights(&zero).unwrap(), [0.0; 3]);
        let opposed = gramian(&[[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, -1.0, 1.0]]);
        let error = Pcd::new(0.1).unwrap().weights(&opposed).unwrap_err();
        assert!(matches!(&error, Error::NotConverged { method, .. } if method == "pcd"), "{error}");
    }
}
