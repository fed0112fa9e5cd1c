//! Prediction + [`Target`] → one loss per sample.
//!
//! | criterion | prediction | target | file |
//! | --- | --- | --- | --- |
//! | [`CrossEntropy`] | logits `[batch, classes, …]` | labels `[batch, …]` | `cross_entropy.rs` |
//! | [`SoftCrossEntropy`] | logits `[batch, classes, …]` | probabilities, same shape | `soft_cross_entropy.rs` |
//! | [`KlDivergence`] | logits `[batch, classes, …]` | probabilities, same shape | `kl_divergence.rs` |
//! | [`BceWithLogits`] | logits `[batch, …]` | in [0, 1], same shape | `bce_with_logits.rs` |
//! | [`LogLoss`] | probabilities `[batch, …]` | in [0, 1], same shape | `log_loss.rs` |
//! | [`SigmoidFocal`] | logits `[batch, …]` | in [0, 1], same shape | `sigmoid_focal.rs` |
//! | [`Mse`], [`L1`], [`Huber`], [`SmoothL1`], [`LogCosh`] | values `[batch, …]` | values, same shape | one file each |
//! | [`PoissonNll`] | log-rates `[batch, …]` | counts, same shape | `poisson_nll.rs` |
//! | [`ProbabilityMse`] | logits `[batch, classes, …]` | probabilities, same shape | `probability_mse.rs` |
//! | [`JensenShannon`], [`PairwiseKl`], [`CrossPseudo`] | logits `[batch, networks, classes, …]` | only its weight | one file each |
//! | [`NtXent`], [`Clip`] | vectors `[batch, 2, width]` | only its weight | one file each |
//! | [`Absolute`] | that of another criterion | that of the other | `absolute.rs` |
//! | [`Dice`] | logits `[batch, classes, …]` | labels `[batch, …]`, or masks of the same shape | `dice.rs` |
//!
//! All of them hold: a finite prediction within the stated range gives a finite loss and gradient (only
//! [`PoissonNll`] overflows, where e^x does); a sample or element of weight 0 has no effect, whatever it holds;
//! a target of a wrong shape, dtype or range is a typed error.
//!
//! # A criterion of your own
//! ```
//! use candle_core::{Device, Tensor};
//! use taskweave_kernels::{Result, Target};
//! use taskweave_loss::{Criterion, mean_loss};
//!
//! /// |prediction − target| in units of a given scale.
//! struct ScaledError(f64);
//!
//! impl Criterion for ScaledError {
//!     fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
//!         Ok(((prediction - target.value())?.abs()? / self.0)?)
//!     }
//! }
//!
//! let prediction = Tensor::new(&[1f64, 5.0], &Device::Cpu)?;
//! let target = Target::new(Tensor::new(&[2f64, 2.0], &Device::Cpu)?)?;
//! assert_eq!(mean_loss(&ScaledError(4.0), &prediction, &target)?.to_scalar::<f64>()?, 0.5);
//! # Ok::<(), taskweave_kernels::Error>(())
//! ```

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

mod absolute;
mod bce_with_logits;
mod clip;
mod config;
mod contrast;
mod cross_entropy;
mod cross_pseudo;
mod dice;
mod elementwise;
mod fused_cross_entropy;
mod huber;
mod jensen_shannon;
mod kl_divergence;
mod l1;
mod log_cosh;
mod log_loss;
mod mse;
mod nt_xent;
mod pairwise_kl;
mod poisson_nll;
mod probability_mse;
mod sigmoid_focal;
mod smooth_l1;
mod soft_cross_entropy;
mod softmax;
mod softplus;
mod stacked;
mod weighted_mean;

pub use absolute::Absolute;
pub use bce_with_logits::BceWithLogits;
pub use clip::Clip;
pub use config::CriterionConfig;
pub use cross_entropy::CrossEntropy;
pub use cross_pseudo::CrossPseudo;
pub use dice::Dice;
pub use huber::Huber;
pub use jensen_shannon::JensenShannon;
pub use kl_divergence::KlDivergence;
pub use l1::L1;
pub use log_cosh::LogCosh;
pub use log_loss::LogLoss;
pub use mse::Mse;
pub use nt_xent::NtXent;
pub use pairwise_kl::{PairwiseKl, Teachers};
pub use poisson_nll::PoissonNll;
pub use probability_mse::ProbabilityMse;
pub use sigmoid_focal::SigmoidFocal;
pub use smooth_l1::SmoothL1;
pub use soft_cross_entropy::SoftCrossEntropy;
pub use weighted_mean::{mean_loss, weighted_mean};

/// Prediction + target → one loss per sample.
pub trait Criterion: Send + Sync {
    /// Losses `[batch]`: the mean over the elements of each sample, by element weight where the target has one;
    /// 0 for a sample whose elements all weigh 0.
    ///
    /// # Errors
    /// A target or prediction of a wrong shape, dtype or range.
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor>;

    /// The weight of each sample `[batch]`.
    ///
    /// A criterion that ignores elements overrides this, so that the weighted mean over the batch stays the
    /// weighted mean over all elements that count.
    ///
    /// # Errors
    /// Only those of reading the target.
    fn weight(&self, target: &Target) -> Result<Tensor> {
        target.sample_weight()
    }

    /// Whether the loss of a sample depends on the other samples of its batch, so that samples have no gradients of their own.
    fn compares_samples(&self) -> bool {
        false
    }
}
