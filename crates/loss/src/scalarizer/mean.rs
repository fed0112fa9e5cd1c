//! Mean of the losses: (1/K) Σ Lᵢ over the K tasks that are present.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result, State, Stateful};

use super::{Scalarizer, terms::sum_of};
use crate::no_parameters::no_parameters;

/// Mean of the losses.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Mean};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(2.0)?)])?;
/// assert_eq!(Mean.scalarize(&losses)?.to_scalar::<f64>()?, 1.5);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mean;

no_parameters!(Mean);

impl Scalarizer for Mean {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        Ok((sum_of(losses, |_, loss| Ok(loss.clone()))? / losses.len() as f64)?)
    }
}

impl Stateful for Mean {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("mean")
    }
}
