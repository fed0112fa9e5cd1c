//! Constant: given weights, whatever the gradients.
//!
//! No guarantee.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use super::{Weighting, stateless::stateless};
use crate::{Gramian, parameter};

/// Given weights.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `weights` | required | ≥ 0, one per task | the weights in the order of the tasks |
///
/// # Errors
/// [`Error::Shape`] for another number of tasks.
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
    weights: Vec<f64>,
}

impl Constant {
    /// These weights, always.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is negative or not finite.
    pub fn new(weights: Vec<f64>) -> Result<Self> {
        for (i, weight) in weights.iter().enumerate() {
            parameter::non_negative(&format!("weights[{i}]"), *weight)?;
        }
        Ok(Self { weights })
    }

    fn of(&self, tasks: usize) -> Result<Vec<f64>> {
        if tasks != self.weights.len() {
            let expected = format!("[{0}, {0}], one row per weight", self.weights.len());
            return Err(Error::shape("Gramian", expected, &[tasks; 2]));
        }
        Ok(self.weights.clone())
    }
}

impl Weighting for Constant {
    fn without_gradients(&mut self, tasks: usize) -> Result<Option<Vec<f64>>> {
        self.of(tasks).map(Some)
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        self.of(gramian.len())
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::new(preference.values().copied().collect())?;
        Ok(())
    }
}

stateless!(Constant);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    weights: Vec<f64>,
}

impl TryFrom<Fields> for Constant {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.weights)
    }
}
