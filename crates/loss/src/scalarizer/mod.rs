//! One loss per task → the one scalar that is differentiated.
//!
//! | scalarizer | value | guarantees |
//! | --- | --- | --- |
//! | [`Sum`] | Σ Lᵢ | the gradient of every task at full size; K times the step of [`Mean`] |
//! | [`Mean`] | (1/K) Σ Lᵢ | a step that does not grow with the number of tasks |
//! | [`Constant`] | Σ wᵢLᵢ | the given weights |
//! | [`LogLoss`] | Σ log(Lᵢ + ε) | no task dominates by its units |
//! | [`GeometricMean`] | (Π Lᵢ)^(1/K) | no task dominates by its units |
//! | [`Uncertainty`] | Σ ½ e^(−sᵢ) Lᵢ + ½ sᵢ, s trained | – |
//! | [`UncertaintySoftmax`] | Σ wᵢLᵢ, w = softmax(1 / (T Lᵢ)) | Σ w = 1 |
//! | [`ImtlL`] | Σ e^(sᵢ) Lᵢ − sᵢ, s trained | – |
//! | [`Dwa`] | Σ wᵢLᵢ by the rate at which losses fall | Σ w = K |
//! | [`Random`] | Σ wᵢLᵢ with random weights | Σ w = 1 |
//! | [`Stch`] | the largest weighted loss, smoothed | reaches every Pareto optimum |
//! | [`Famo`] | losses that fall at the same rate | Σ w = 1 |
//! | [`Cosmos`] | rᵀL − λ cos(r, L) | – |
//! | [`Pbi`] | distance along a preference and beside it | – |
//! | [`Go4Align`] | Σ wᵢLᵢ, one weight per group of tasks that are alike | – |
//! | [`Ldc`] | Σ σᵢLᵢ, σ trained so that the weighed losses are equal | Σ σ = 1 |
//!
//! Only the tasks present in a batch are given: K and Σ run over those. A scalarizer that carries state keeps it
//! behind `&mut self` and saves it whole, so that a resumed run equals an uninterrupted one.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::{Named, Param, Result, Stateful};

mod config;
mod constant;
mod cosmos;
mod dwa;
mod famo;
mod geometric_mean;
mod go4align;
mod imtl_l;
mod ldc;
mod log_loss;
mod mean;
mod pbi;
mod per_task;
mod random;
mod scalarized;
mod stch;
mod sum;
mod terms;
mod trained;
mod uncertainty;
mod uncertainty_softmax;

pub use config::ScalarizerConfig;
pub use constant::Constant;
pub use cosmos::Cosmos;
pub use dwa::Dwa;
pub use famo::Famo;
pub use geometric_mean::GeometricMean;
pub use go4align::Go4Align;
pub use imtl_l::ImtlL;
pub use ldc::Ldc;
pub use log_loss::LogLoss;
pub use mean::Mean;
pub use pbi::Pbi;
pub use per_task::PerTask;
pub use random::Random;
pub use scalarized::{Scalarized, scalarized};
pub use stch::Stch;
pub use sum::Sum;
pub use uncertainty::Uncertainty;
pub use uncertainty_softmax::UncertaintySoftmax;

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

    /// Makes what is trained per task, before training starts. Without it a scalarizer makes it when it first sees a
    /// task, and nobody trains it.
    ///
    /// # Errors
    /// Those of candle, for a device without room.
    fn prepare(&mut self, _tasks: &[String], _dtype: DType, _device: &Device) -> Result<()> {
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
