//! What a reader of results wants to know, collected batch by batch in host f64.
//!
//! | metric | prediction | target | values |
//! | --- | --- | --- | --- |
//! | [`Classification`] | logits `[batch, classes]` | labels `[batch]` | accuracy, balanced accuracy, F1 (macro, micro, weighted), MCC, Cohen's kappa |
//! | [`Segmentation`] | logits `[batch, classes, …]` | labels `[batch, …]` | mean IoU, mean Dice, pixel accuracy |
//! | [`Binary`] | logits or probabilities `[batch, …]` | 0 or 1, same shape | ROC-AUC, average precision, F1, precision, recall, log loss, Brier score |
//! | [`Regression`] | values `[batch, …]` | values, same shape | RMSE, MAE, R², explained variance, Pearson's r |
//!
//! All of them hold: the values do not depend on how the samples are cut into batches; a sample or element of
//! weight 0 is skipped, any other counts once; a prediction that is NaN is an error, because it has no rank; the
//! values of a metric that has seen nothing are an error. What is undefined otherwise (an absent class, no
//! variance) has a stated finite value, so that one odd batch ends no run.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result, Target};

mod binary;
mod classification;
mod config;
mod confusion;
mod counted;
mod direction;
mod observation;
mod ranking;
mod regression;
mod segmentation;

pub use binary::{Binary, Scores};
pub use classification::Classification;
pub use config::MetricConfig;
pub use confusion::Confusion;
pub use direction::Direction;
pub use regression::Regression;
pub use segmentation::Segmentation;

/// Values that are collected over batches.
pub trait Metric: Send {
    /// Takes a batch in.
    ///
    /// # Errors
    /// A target or prediction of a wrong shape, dtype or range, a prediction that is NaN. Nothing of the batch is
    /// taken in then.
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()>;

    /// The values over all that was taken in since the last reset.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) where that is nothing.
    fn values(&self) -> Result<Named<f64>>;

    /// The name of the main value, by which models are compared.
    fn primary(&self) -> &'static str;

    /// Which way the main value is better.
    fn direction(&self) -> Direction;

    /// Forgets everything taken in.
    fn reset(&mut self);
}
