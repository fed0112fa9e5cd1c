//! Mean: every task counts alike, whatever the gradients.
//!
//! w = 1/m. The baseline; no guarantee.

use taskweave_kernels::Result;

use super::{Weighting, scaled::uniform, stateless::stateless};
use crate::{Gramian, no_parameters::no_parameters};

/// 1/m for each of m tasks. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Mean, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// assert_eq!(Mean.weights(&gramian)?, [0.5, 0.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mean;

no_parameters!(Mean);

impl Weighting for Mean {
    fn without_gradients(&mut self, tasks: &[&str]) -> Result<Option<Vec<f64>>> {
        Ok(Some(uniform(tasks.len())))
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        Ok(uniform(gramian.len()))
    }
}

stateless!(Mean);
