//! How tasks share: from inputs by view to features by task.
//!
//! | name | paper | shares |
//! | --- | --- | --- |
//! | [`HardSharing`] | Caruana 1997 | the whole trunk |
//! | [`Mmoe`] | Ma et al. 2018 | experts, mixed by a gate per task |

use candle_core::Tensor;
use taskweave_kernels::{Named, Result};

use crate::Mode;

mod hard;
mod mmoe;

pub use hard::HardSharing;
pub use mmoe::Mmoe;

/// A sharing architecture.
pub trait Sharing: Send + Sync {
    /// The features of each of `tasks`, in that order.
    ///
    /// # Errors
    /// A missing view, or a misshapen input.
    fn share(&self, inputs: &Named<Tensor>, tasks: &[String], mode: Mode<'_>) -> Result<Named<Tensor>>;
}
