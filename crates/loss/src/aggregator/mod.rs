//! The gradients of all tasks → one gradient for what they share.
//!
//! | aggregator | gradient | guarantees |
//! | --- | --- | --- |
//! | [`Weighted`] | Jᵀw with the weights of a [`Weighting`] | those of the weighting |
//! | [`GradDrop`] | of each coordinate, the values of one sign, drawn by their share | none |
//! | [`TrimmedMean`] | of each coordinate, the mean without the extremes | outliers do not decide |
//! | [`DbMtl`] | of logarithmic losses, smoothed, at one length | all tasks at the same length |
//! | [`MoCo`] | tracked gradients, weights that step towards MGDA's | MGDA's, on average |
//! | [`ExcessMtl`] | weights by the distance of losses from their least | Σ w = m |
//! | [`SamGs`] | one length where lengths differ, momentum where not | – |
//! | [`PerGroup`] | a weighting for every layer or group of blocks | those of the weighting, in each group |
//! | [`Within`] | a weighting that sees some of the blocks only | – |
//!
//! What needs no more than inner products is a weighting; an aggregator that is not [`Weighted`] looks at every
//! coordinate or remembers it, or treats blocks apart. Blocks are aggregated one by one and never concatenated.

mod config;
mod db_mtl;
mod excess_mtl;
mod graddrop;
mod memory;
mod moco;
mod per_group;
mod pieces;
mod sam_gs;
mod trimmed_mean;
mod weighted;
mod within;

pub use config::{AggregatorConfig, BlockwiseConfig};
pub use db_mtl::DbMtl;
pub use excess_mtl::ExcessMtl;
pub use graddrop::GradDrop;
pub use moco::MoCo;
pub use per_group::{PerGroup, PerGroupConfig};
pub use sam_gs::SamGs;
pub use trimmed_mean::TrimmedMean;
pub use weighted::Weighted;
pub use within::{Within, WithinConfig};

use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Named, Result, Stateful};

use crate::{Jacobian, Weighting, parameter::no_preference};

/// A rule that makes one gradient of the gradients of all tasks.
pub trait Aggregator: Send + Stateful {
    /// The gradient by parameter.
    ///
    /// # Errors
    /// [`Error::NonFinite`](taskweave_kernels::Error::NonFinite) with the task whose gradient holds a NaN or an infinity, and
    /// those of the method.
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated>;

    /// The weighting by whose weights alone it forms a sum, if there is one: who has the Gramian by other means then need
    /// not store the rows.
    fn weighting(&mut self) -> Option<&mut dyn Weighting> {
        None
    }

    /// Whether its gradient is at every step a sum of the tasks' gradients by weights that it reports, which the tasks' heads
    /// can then have as well.
    fn weighs(&self) -> bool {
        false
    }

    /// Whether it remembers something of every coordinate, which then has to mean the same at every step: a parameter does,
    /// a feature of the samples of a batch does not.
    fn remembers_coordinates(&self) -> bool {
        false
    }

    /// Names all tasks, before the first step, for methods that remember something of each: a step may then lack some of them,
    /// and what is remembered of those stays as it is.
    ///
    /// # Errors
    /// [`Error::Shape`](taskweave_kernels::Error::Shape) where others are remembered.
    fn prepare(&mut self, _tasks: &[String]) -> Result<()> {
        Ok(())
    }

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
