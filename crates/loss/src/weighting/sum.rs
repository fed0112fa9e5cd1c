//! Sum: every gradient at its full length.
//!
//! w = 1, which is m times the step of the mean. No guarantee.

use taskweave_kernels::Result;

use super::{Weighting, stateless::stateless};
use crate::{Gramian, no_parameters::no_parameters};

/// 1 for every task. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Sum, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// assert_eq!(Sum.weights(&gramian)?, [1.0, 1.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum;

no_parameters!(Sum);

impl Weighting for Sum {
    fn without_gradients(&mut self, tasks: &[&str]) -> Result<Option<Vec<f64>>> {
        Ok(Some(vec![1.0; tasks.len()]))
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        Ok(vec![1.0; gramian.len()])
    }
}

stateless!(Sum);
