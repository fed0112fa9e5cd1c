//! Weighted: Jᵀw with the weights of a weighting.
//!
//! Cost: one pass over the rows for the Gramian, where the weights depend on it, and one for the sum. A call that is refused
//! leaves the state of the weighting as it was.

use taskweave_kernels::{Error, Named, Result, State, Stateful, ops};

use super::{Aggregated, Aggregator};
use crate::{Jacobian, Weighting, attempt::attempt, weighting::checked};

/// The sum of the gradients by the weights of a weighting.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::Weighted, weighting::Mean};
/// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
/// let jacobian = Jacobian::new(Named::new([("a", row(1.0)?), ("b", row(3.0)?)])?)?;
/// let found = Weighted::new(Box::new(Mean)).aggregate(&jacobian)?;
/// assert_eq!(found.gradient["x"].clone().into_dense()?.to_scalar::<f64>()?, 2.0);
/// assert_eq!(found.weights, Some(vec![0.5, 0.5]));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Weighted {
    weighting: Box<dyn Weighting>,
}

impl Weighted {
    /// By the weights of this weighting.
    pub fn new(weighting: Box<dyn Weighting>) -> Self {
        Self { weighting }
    }

    fn sum(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let tasks: Vec<&str> = jacobian.rows().names().collect();
        let Some(weights) = self.weighting.without_gradients(&tasks)? else {
            let gramian = jacobian.gramian()?;
            let weights = checked(gramian.tasks(), self.weighting.weights(&gramian)?)?;
            return Ok(Aggregated { gradient: jacobian.combined(&weights)?, weights: Some(weights) });
        };
        let weights = checked(tasks.iter().copied(), weights)?;
        let gradient = jacobian.combined(&weights)?;
        for block in gradient.values() {
            if !ops::all_finite(block.values())? {
                // The Gramian names the task, unless each is finite and only their sum is not.
                jacobian.gramian()?;
                return Err(Error::non_finite("sum of the gradients", "all tasks"));
            }
        }
        Ok(Aggregated { gradient, weights: Some(weights) })
    }
}

impl Aggregator for Weighted {
    fn weighs(&self) -> bool {
        true
    }

    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        attempt(self, |weighted| weighted.sum(jacobian))
    }

    fn weighting(&mut self) -> Option<&mut dyn Weighting> {
        Some(&mut *self.weighting)
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.weighting.prepare(tasks)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        self.weighting.prefer(preference)
    }
}

impl Stateful for Weighted {
    fn save(&self) -> Result<State> {
        self.weighting.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.weighting.restore(state)
    }
}
