//! The gradients of all tasks → one gradient for what they share.
//!
//! | aggregator | gradient | guarantees |
//! | --- | --- | --- |
//! | [`Weighted`] | Jᵀw with the weights of a [`Weighting`](crate::Weighting) | those of the weighting |
//! | [`GradDrop`] | of each coordinate, the values of one sign, drawn by their share | none |
//! | [`TrimmedMean`] | of each coordinate, the mean without the extremes | outliers do not decide |
//!
//! What needs no more than inner products is a weighting; an aggregator that is not [`Weighted`] looks at every
//! coordinate. Blocks are aggregated one by one and never concatenated.

mod config;
mod coordinates;
mod graddrop;
mod trimmed_mean;
mod weighted;

pub use config::{AggregatorConfig, CoordinatesConfig};
pub use graddrop::GradDrop;
pub use trimmed_mean::TrimmedMean;
pub use weighted::Weighted;

use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Named, Result, Stateful};

use crate::{Jacobian, parameter::no_preference};

/// A rule that makes one gradient of the gradients of all tasks.
pub trait Aggregator: Send + Stateful {
    /// The gradient by parameter.
    ///
    /// # Errors
    /// [`Error::NonFinite`](taskweave_kernels::Error::NonFinite) with the task whose gradient holds a NaN or an infinity, and
    /// those of the method.
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated>;

    /// Sets which trade-off it is after, one number per task, for methods that take a preference ([`Weighted`] hands it to its
    /// weighting).
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a method that takes none, or a number that it does not
    /// take.
    fn prefer(&mut self, _preference: &Named<f64>) -> Result<()> {
        Err(no_preference())
    }
}

/// One gradient for all tasks.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// By parameter, as the blocks of the Jacobian.
    pub gradient: Named<Gradient>,
    /// The weight of each task, where the gradient is a weighted sum.
    pub weights: Option<Vec<f64>>,
}
