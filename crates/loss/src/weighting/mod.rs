//! The Gramian of the task gradients → one weight per task: pure mathematics on the host, in f64.
//!
//! | weighting | weights | guarantees |
//! | --- | --- | --- |
//! | [`Mean`], [`Sum`], [`Constant`] | 1/m; 1; given | none |
//! | [`Random`] | softmax of normal numbers | none |
//! | [`NormBalance`] | every gradient at the same length | no task's scale matters |
//! | [`GradNorm`] | trained, so that losses fall at the same rate | Σ w = m |
//! | [`Mgda`] | the shortest vector of the convex hull | no task's loss rises to first order |
//! | [`DualProj`] | the mean gradient, projected onto the dual cone | no task's loss rises to first order |
//! | [`UpGrad`] | the mean projection of the tasks' gradients onto the dual cone | no task's loss rises to first order |
//! | [`PcGrad`] | conflicts projected away, pair by pair | for two tasks, no task's loss rises |
//! | [`GradVac`] | gradients turned to their usual cosines | none |
//! | [`ImtlG`] | equal projections on all gradients | equal projections |
//! | [`CaGrad`] | near the mean, most for the task that gains least | c < 1: stationary points of the mean |
//! | [`ConicGrad`] | within an angle of the mean, most for the task that gains least | the angle |
//! | [`NashMtl`] | the Nash bargaining solution | every task's loss falls to first order |
//! | [`FairGrad`] | gains shared by α-fairness | every task's loss falls to first order |
//! | [`AlignedMtl`] | orthogonal gradients of one length | condition number 1 |
//! | [`ConfigGrad`] | equal cosines to all gradients | no conflict where gradients are independent |
//! | [`Krum`] | the gradients closest to the others | outliers do not decide |
//! | [`Pcd`] | one task first, the others by a share of their own step | the share |
//! | [`Epo`], [`Ferero`] | towards the trade-off of a preference | the losses turn to the preference |
//! | [`Ema`], [`Every`] | another method's, smoothed, or at each n-th step | – |
//!
//! A weighting sees no tensor and no device. The update is d = Jᵀw, see [`Jacobian::combined`](crate::Jacobian). Solvers
//! work on the matrix of cosines, so that norms that differ by 10⁶ do not cost them their accuracy; [`AlignedMtl`], which is
//! about norms too, decomposes the Gramian itself. Promises hold to 1e-9 of Σ wⱼ‖gⱼ‖; of [`UpGrad`] and [`DualProj`] to 4e-7
//! where gradients are opposed but for rounding of f32, which counts as opposed.

mod aligned_mtl;
mod barrier;
mod cagrad;
mod checked;
mod cone;
mod config;
mod config_grad;
mod conic_grad;
mod constant;
mod dualproj;
mod ema;
mod epo;
mod every;
mod factor;
mod fairgrad;
mod ferero;
mod gradnorm;
mod gradvac;
mod imtl_g;
mod krum;
mod least_gain;
mod linear;
mod mean;
mod mgda;
mod nash_mtl;
mod newton;
mod norm_balance;
mod pcd;
mod pcgrad;
mod random;
mod scaled;
mod stateless;
mod sum;
mod upgrad;

pub use aligned_mtl::{AlignedMtl, AlignedScale};
pub use barrier::barrier_weights;
pub use cagrad::{CaGrad, Rescale};
pub use checked::checked;
pub use cone::{Solved, minimum};
pub use config::WeightingConfig;
pub use config_grad::ConfigGrad;
pub use conic_grad::ConicGrad;
pub use constant::Constant;
pub use dualproj::DualProj;
pub use ema::{Ema, EmaConfig};
pub use epo::Epo;
pub use every::{Every, EveryConfig};
pub use fairgrad::FairGrad;
pub use ferero::Ferero;
pub use gradnorm::GradNorm;
pub use gradvac::GradVac;
pub use imtl_g::ImtlG;
pub use krum::Krum;
pub use mean::Mean;
pub use mgda::{Mgda, Normalize};
pub use nash_mtl::NashMtl;
pub use norm_balance::NormBalance;
pub use pcd::Pcd;
pub use pcgrad::PcGrad;
pub use random::Random;
pub use sum::Sum;
pub use upgrad::UpGrad;

use taskweave_kernels::{Named, Result, Stateful};

use crate::{Gramian, parameter::no_preference};

/// A rule that weighs tasks by how their gradients meet.
pub trait Weighting: Send + Stateful {
    /// One weight per task, in row order.
    ///
    /// # Errors
    /// Those of the method.
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>>;

    /// The weights of these tasks, where they do not depend on the gradients: nobody then forms the Gramian. The state moves
    /// on as by [`weights`](Self::weights), which is not called beside it.
    ///
    /// # Errors
    /// Those of the method.
    fn without_gradients(&mut self, _tasks: &[&str]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// Names all tasks, before the first step, for methods that remember something of each: a step may then lack some of them,
    /// and what is remembered of those stays as it is.
    ///
    /// # Errors
    /// [`Error::Shape`](taskweave_kernels::Error::Shape) where others are remembered.
    fn prepare(&mut self, _tasks: &[String]) -> Result<()> {
        Ok(())
    }

    /// Sets which trade-off it is after, one number per task, for methods that take a preference ([`Constant`], [`Epo`],
    /// [`Ferero`]).
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a method that takes none, or a number that it does not
    /// take.
    fn prefer(&mut self, _preference: &Named<f64>) -> Result<()> {
        Err(no_preference())
    }
}
