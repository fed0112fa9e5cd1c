//! Negative log-likelihood of a Poisson count, on the log of the rate: ℓ = e^x − t·x.
//!
//! Variants: without the constant log t!, as in the common default. e^x overflows at x > 709 (88 in f32); the
//! loss is infinite there because the likelihood is 0.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{Criterion, elementwise::elementwise};
use crate::no_parameters::no_parameters;

/// Poisson negative log-likelihood on log-rates.
///
/// # Shapes
/// Log-rates `[batch, …]`; counts of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::PoissonNll};
/// let target = Target::new(Tensor::new(&[3f64], &Device::Cpu)?)?;
/// let losses = PoissonNll.losses(&Tensor::new(&[0f64], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [1.0]); // e⁰ − 3·0
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoissonNll;

no_parameters!(PoissonNll);

impl Criterion for PoissonNll {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok((x.exp()? - t.mul(x)?)?))
    }
}
