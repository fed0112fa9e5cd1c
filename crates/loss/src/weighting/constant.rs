//! Constant: given weights, whatever the gradients.
//!
//! No guarantee.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use super::{Weighting, stateless::stateless};
use crate::{Gramian, parameter, scalarizer::PerTask};

/// Given weights.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weights` | required | ≥ 0, one per task | the weights, by name or in the order of the tasks |
///
/// # Errors
/// [`Error::Shape`] for a list of another length than the tasks, [`Error::Unknown`] for a task without a weight.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Constant, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// assert_eq!(Constant::new(vec![1.0, 10.0])?.weights(&gramian)?, [1.0, 10.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Constant {
    weights: PerTask,
}

impl Constant {
    /// These weights, always.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is negative or not finite.
    pub fn new(weights: impl Into<PerTask>) -> Result<Self> {
        Ok(Self { weights: weights.into().checked("weights", parameter::non_negative)? })
    }

    fn of<'a>(&self, tasks: impl Iterator<Item = &'a str>) -> Result<Vec<f64>> {
        let tasks = Named::new(tasks.map(|task| (task, ())))?;
        Ok(self.weights.of("weights", &tasks)?.values().copied().collect())
    }
}

impl Weighting for Constant {
    fn without_gradients(&mut self, tasks: &[&str]) -> Result<Option<Vec<f64>>> {
        self.of(tasks.iter().copied()).map(Some)
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        self.of(gramian.tasks())
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.clone())?;
        Ok(())
    }
}

stateless!(Constant);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    weights: PerTask,
}

impl TryFrom<Fields> for Constant {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_go_by_name_in_any_order_and_where_a_task_is_missing() {
        let mut constant = Constant::new(vec![1.0, 10.0]).unwrap();
        constant.prefer(&Named::new([("mask", 10.0), ("class", 1.0)]).unwrap()).unwrap();
        assert_eq!(constant.without_gradients(&["class", "mask"]).unwrap(), Some(vec![1.0, 10.0]));
        assert_eq!(constant.without_gradients(&["mask"]).unwrap(), Some(vec![10.0]));
        assert!(matches!(constant.without_gradients(&["depth"]), Err(Error::Unknown { .. })));
    }
}
