//! Task affinity: how much a step for one task helps another one.
//!
//! Given the losses L(θ) and those after a step on the gradient of task i alone, of the shared parameters alone,
//!     Z_ij = 1 − L_j(θ − η gᵢ) / L_j(θ),
//! averaged over the steps of a training. Z_ij > 0: what task i wants lowers the loss of task j. A batch that lacks a task
//! says nothing about it, and the mean of a pair is over the batches that have both.
//! Reference: Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning" (TAG), NeurIPS 2021, eq. 1,
//! <https://arxiv.org/abs/2109.04617>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use crate::parameter;

/// How much a step for one task helps another one: a finite number for every ordered pair of tasks.
///
/// # Example
/// ```
/// use taskweave_kernels::Named;
/// use taskweave_loss::Affinity;
/// let losses = |class: f64, mask: f64| Named::new([("class", class), ("mask", mask)]);
/// // A step for `class` halves its loss and lowers that of `mask` by a tenth; one for `mask` harms `class`.
/// let after = Named::new([("class", losses(1.0, 0.9)?), ("mask", losses(3.0, 0.5)?)])?;
/// let affinity = Affinity::of(&losses(2.0, 1.0)?, &after)?;
/// assert!((affinity.on("class", "mask")? - 0.1).abs() < 1e-15);
/// assert_eq!(affinity.on("mask", "class")?, -0.5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Named<Named<f64>>", into = "Named<Named<f64>>")]
pub struct Affinity {
    rows: Named<Named<f64>>,
}

impl Affinity {
    /// The matrix from its rows: whose gradient, then whose loss.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no task and for a number that is not finite, [`Error::Unknown`] for a row or a column that is
    /// missing, [`Error::Shape`] for a row with more.
    pub fn new(rows: Named<Named<f64>>) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::parameter("tasks of an affinity", "at least one", 0));
        }
        let order = rows.map(|_, _| ());
        let rows = rows.try_map(|from, row| {
            if row.len() != order.len() {
                let expected = format!("[{}], one per task", order.len());
                return Err(Error::shape(format!("affinity of `{from}`"), expected, &[row.len()]));
            }
            order.try_map(|to, _| {
                parameter::finite(&format!("affinity of `{from}` to `{to}`"), *row.require("task", to)?)
            })
        })?;
        Ok(Self { rows })
    }

    /// The matrix of one step, from the losses before it and those after the step of each task alone.
    ///
    /// # Errors
    /// As [`Affinity::new`], and [`Error::Parameter`] for a loss before the step that is not a finite number > 0, because a
    /// loss without a sign or a size has no relative change.
    pub fn of(before: &Named<f64>, after: &Named<Named<f64>>) -> Result<Self> {
        before.iter().try_for_each(|(task, loss)| {
            parameter::positive(&format!("loss of `{task}` before the step"), *loss).map(drop)
        })?;
        before.names().try_for_each(|task| after.require("task", task).map(drop))?;
        let ratio = |to: &str, loss: &f64| -> Result<f64> { Ok(1.0 - loss / before.require("task", to)?) };
        Self::new(after.try_map(|_, losses| losses.try_map(ratio))?)
    }

    /// The mean over steps, pair by pair, the tasks in the order of first mention.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no step, or two tasks that no step has both.
    pub fn mean(steps: &[Self]) -> Result<Self> {
        let mut tasks: Named<()> = Named::default();
        for task in steps.iter().flat_map(Self::tasks) {
            if !tasks.contains(task) {
                tasks.insert(task, ())?;
            }
        }
        Self::new(tasks.try_map(|from, _| {
            tasks.try_map(|to, _| {
                let seen = steps.iter().filter_map(|step| step.rows.get(from)?.get(to));
                let (sum, count) = seen.fold((0.0, 0u32), |(sum, count), z| (sum + z, count + 1));
                match count {
                    0 => Err(Error::parameter(
                        format!("steps that have `{from}` and `{to}`"),
                        "at least one",
                        0,
                    )),
                    n => Ok(sum / f64::from(n)),
                }
            })
        })?)
    }

    /// The tasks in order.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.names()
    }

    /// How much a step for `from` helps `to`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task that it does not have.
    pub fn on(&self, from: &str, to: &str) -> Result<f64> {
        self.rows.require("task", from)?.require("task", to).copied()
    }

    /// The rows: whose gradient, then whose loss.
    pub fn rows(&self) -> &Named<Named<f64>> {
        &self.rows
    }

    /// The numbers, row by row.
    pub(crate) fn matrix(&self) -> Vec<Vec<f64>> {
        self.rows.values().map(|row| row.values().copied().collect()).collect()
    }
}

impl TryFrom<Named<Named<f64>>> for Affinity {
    type Error = Error;

    fn try_from(rows: Named<Named<f64>>) -> Result<Self> {
        Self::new(rows)
    }
}

impl From<Affinity> for Named<Named<f64>> {
    fn from(affinity: Affinity) -> Self {
        affinity.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const N: usize>(values: [(&str, f64); N]) -> Named<f64> {
        Named::new(values).unwrap()
    }

    #[test]
    fn the_mean_of_a_pair_is_over_the_steps_that_have_both() {
        let both = Affinity::new(
            Named::new([("a", row([("a", 0.5), ("b", 0.1)])), ("b", row([("a", -0.2), ("b", 0.4)]))])
                .unwrap(),
        );
        let alone = Affinity::new(Named::new([("a", row([("a", 0.1)]))]).unwrap());
        let mean = Affinity::mean(&[both.unwrap(), alone.unwrap()]).unwrap();
        assert_eq!((mean.on("a", "a").unwrap(), mean.on("a", "b").unwrap()), (0.3, 0.1));
        assert_eq!(mean.on("b", "a").unwrap(), -0.2);
    }

    #[test]
    fn columns_are_put_into_the_order_of_the_rows() {
        let rows = [("a", row([("b", 2.0), ("a", 1.0)])), ("b", row([("b", 4.0), ("a", 3.0)]))];
        let affinity = Affinity::new(Named::new(rows).unwrap()).unwrap();
        assert_eq!(affinity.matrix(), [[1.0, 2.0], [3.0, 4.0]]);
        let text = serde_json::to_string(&affinity).unwrap();
        assert_eq!(serde_json::from_str::<Affinity>(&text).unwrap(), affinity);
    }

    #[test]
    fn what_is_no_affinity_is_refused() {
        let one = |z: f64| Affinity::new(Named::new([("a", row([("a", z)]))]).unwrap());
        assert_eq!(
            one(f64::NAN).unwrap_err().to_string(),
            "affinity of `a` to `a`: expected a finite number, found NaN"
        );
        assert!(matches!(Affinity::new(Named::default()), Err(Error::Parameter { .. })));
        let other = Named::new([("a", row([("b", 1.0)]))]).unwrap();
        assert!(matches!(Affinity::new(other), Err(Error::Unknown { .. })));
        let wide = Named::new([("a", row([("a", 1.0), ("b", 1.0)]))]).unwrap();
        assert!(matches!(Affinity::new(wide), Err(Error::Shape { .. })));
        let zero = Affinity::of(&row([("a", 0.0)]), &Named::new([("a", row([("a", 0.0)]))]).unwrap());
        assert_eq!(
            zero.unwrap_err().to_string(),
            "loss of `a` before the step: expected a finite number > 0, found 0"
        );
        assert!(matches!(Affinity::mean(&[]), Err(Error::Parameter { .. })));
        let (a, b) = (one(1.0).unwrap(), Named::new([("b", row([("b", 1.0)]))]).unwrap());
        let apart = Affinity::mean(&[a, Affinity::new(b).unwrap()]).unwrap_err().to_string();
        assert_eq!(apart, "steps that have `a` and `b`: expected at least one, found 0");
    }
}
