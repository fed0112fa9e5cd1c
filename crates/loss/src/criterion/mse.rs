//! Squared error: ℓ = (x − t)².

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, elementwise::elementwise};
use crate::no_parameters::no_parameters;

/// Squared error.
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::Mse};
/// let target = Target::new(Tensor::new(&[[1f64, 1.0]], &Device::Cpu)?)?;
/// let losses = Mse.losses(&Tensor::new(&[[2f64, 4.0]], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [5.0]); // (1 + 9) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mse;

no_parameters!(Mse);

impl Criterion for Mse {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok((x - t)?.sqr()?))
    }
}
