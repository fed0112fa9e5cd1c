//! Geometric mean of the losses: exp((1/K) Σ log Lᵢ) over the K tasks that are present.
//!
//! Never formed as a product, which would overflow. Guarantees: no task dominates by its units. Losses must be > 0.
//! Reference: Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
//! Learning", CVPR workshops 2019, <https://arxiv.org/abs/1904.08492>.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{above, sum_of},
};
use crate::no_parameters::no_parameters;

/// (Π Lᵢ)^(1/K). It has no parameters.
///
/// # Errors
/// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a loss that is not > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::GeometricMean};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(1.0)?)])?;
/// assert_eq!(GeometricMean.scalarize(&losses)?.to_scalar::<f64>()?, 1.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GeometricMean;

no_parameters!(GeometricMean);

impl Scalarizer for GeometricMean {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        above(losses, 0.0)?;
        let mean = sum_of(losses, |_, loss| Ok(loss.log()?))?.affine(1.0 / losses.len() as f64, 0.0)?;
        Ok(mean.exp()?)
    }
}

impl Stateful for GeometricMean {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("geometric_mean")
    }
}
