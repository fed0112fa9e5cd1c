//! Absolute error: ℓ = |x − t|, with slope 0 at x = t.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{
    Criterion,
    elementwise::{elementwise, magnitude},
};
use crate::no_parameters::no_parameters;

/// Absolute error.
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::L1};
/// let target = Target::new(Tensor::new(&[[1f64, 1.0]], &Device::Cpu)?)?;
/// let losses = L1.losses(&Tensor::new(&[[2f64, -2.0]], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [2.0]); // (1 + 3) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct L1;

no_parameters!(L1);

impl Criterion for L1 {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok(magnitude(&(x - t)?)?))
    }
}
