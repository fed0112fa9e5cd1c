//! The Gramian of the task gradients → one weight per task: pure mathematics on the host, in f64.
//!
//! | weighting | weights | guarantees |
//! | --- | --- | --- |
//! | [`UpGrad`] | the mean projection of the tasks' gradients onto the dual cone | no task's loss rises to first order |
//!
//! A weighting sees no tensor and no device. The update is d = Jᵀw, see [`Jacobian::combined`](crate::Jacobian).

mod cone;
mod upgrad;

pub use upgrad::UpGrad;

use taskweave_kernels::Result;

use crate::Gramian;

/// A rule that weighs tasks by how their gradients meet.
pub trait Weighting: Send {
    /// One weight per task, in row order.
    ///
    /// # Errors
    /// Those of the method.
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>>;
}
