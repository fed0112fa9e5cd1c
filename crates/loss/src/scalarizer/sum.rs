//! Sum of the losses: Σ Lᵢ over the tasks that are present.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result, State, Stateful};

use super::{Scalarizer, terms::sum_of};
use crate::no_parameters::no_parameters;

/// Sum of the losses.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Sum};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(2.0)?)])?;
/// assert_eq!(Sum.scalarize(&losses)?.to_scalar::<f64>()?, 3.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum;

no_parameters!(Sum);

impl Scalarizer for Sum {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        sum_of(losses, |_, loss| Ok(loss.clone()))
    }
}

impl Stateful for Sum {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("sum")
    }
}
