//! One loss per task → the one scalar that is differentiated.
//!
//! | scalarizer | value | guarantees |
//! | --- | --- | --- |
//! | [`Sum`] | Σ Lᵢ | the gradient of every task at full size; K times the step of [`Mean`] |
//! | [`Mean`] | (1/K) Σ Lᵢ | a step that does not grow with the number of tasks |
//! | [`Constant`] | Σ wᵢLᵢ | the given weights |
//!
//! Only the tasks present in a batch are given: K and Σ run over those. A scalarizer that carries state keeps it
//! behind `&mut self` and saves it whole, so that a resumed run equals an uninterrupted one.

use candle_core::Tensor;
use taskweave_kernels::{Named, Param, Result, Stateful};

mod config;
mod constant;
mod mean;
mod scalarized;
mod sum;
mod terms;

pub use config::ScalarizerConfig;
pub use constant::Constant;
pub use mean::Mean;
pub use scalarized::{Scalarized, scalarized};
pub use sum::Sum;

/// One loss per task → one scalar.
pub trait Scalarizer: Send + Stateful {
    /// The scalar of the tasks that are present, differentiable in their losses.
    ///
    /// # Shapes
    /// Each loss a scalar `[]`; so is the result.
    ///
    /// # Errors
    /// A loss that is not a scalar, no task at all, a task that is not known.
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor>;

    /// Takes the losses of the same batch after the step, for methods that adapt to the progress of a step (FAMO).
    ///
    /// # Errors
    /// Those of the method.
    fn after_step(&mut self, _losses: &Named<f64>) -> Result<()> {
        Ok(())
    }

    /// Whether [`after_step`](Self::after_step) does anything. It costs a second forward pass.
    fn feedback(&self) -> Feedback {
        Feedback::None
    }

    /// Takes the mean losses of an epoch, for methods that adapt to the progress of an epoch (DWA).
    ///
    /// # Errors
    /// Those of the method.
    fn end_epoch(&mut self, _mean_losses: &Named<f64>) -> Result<()> {
        Ok(())
    }

    /// Parameters that are trained along with the network, of
    /// [`Kind::Objective`](taskweave_kernels::Kind::Objective) and so never decayed (uncertainty weighting).
    fn params(&self) -> Named<Param> {
        Named::default()
    }
}

/// What a scalarizer wants to hear after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing.
    None,
    /// The losses of the same batch after the step.
    LossesAfterStep,
}
