//! Differentiable functions that layers are made of.
//!
//! Layers call these and nothing below them, so that a faster kernel changes nothing above. On the CPU, in f32
//! and f64, each function of the first table is a single [`Function`](crate::autograd::Function) with a backward
//! pass of its own, parallel over images, rows or channels in a fixed split: results do not depend on the number of threads.
//! Elsewhere the same functions are compositions of candle's operations.
//!
//! | function | formula | needs |
//! | --- | --- | --- |
//! | [`conv2d`] | cross-correlation, im2col per image and one matrix product | groups divide channels |
//! | [`batch_norm`] | γ (x − μ) / √(σ² + ε) + β per channel | more than one value per channel to train |
//! | [`max_pool2d`] | largest value per window | window within the image |
//! | [`upsample_nearest2d`] | every pixel repeated scale × scale times | scale ≥ 1 |
//! | [`linear`], [`linear_then`] | x Wᵀ + b, and an activation of it | – |
//! | [`embedding`], [`embedding_padded`] | rows of a table by their numbers | every id below the rows |
//! | [`expert_linear`] | an activation of x Wₑᵀ + bₑ for several experts e | – |
//! | [`mix`] | Σ softmax(gates)ₑ yₑ over experts, for one task or several | an expert |
//! | [`bce_with_logits`] | −p t log σ(x) − (1 − t) log(1 − σ(x)) | p > 0 |
//! | [`activate`], [`relu`] | an [`Activation`] of every value | – |
//!
//! | composition | formula |
//! | --- | --- |
//! | [`global_avg_pool2d`] | mean over height and width |
//! | [`pixel_shuffle`] | channels to space |
//! | [`dropout`] | x ∘ mask / (1 − p), mask from an [`Rng`](crate::Rng) |
//! | [`all_finite`] | whether no value is NaN or infinite |

mod activation;
mod batch_norm;
mod bce;
mod conv2d;
mod dropout;
mod embedding;
mod experts;
mod finite;
pub(crate) mod host;
mod linear;
mod mix;
mod pool;
mod resize;
mod unfold;

pub use activation::{Activation, activate, relu};
pub use batch_norm::{ChannelStats, Statistics, batch_norm, channel_stats};
pub use bce::bce_with_logits;
pub use conv2d::{Conv2d, conv2d};
pub use dropout::dropout;
pub use embedding::{embedding, embedding_padded};
pub use experts::expert_linear;
pub use finite::all_finite;
pub use linear::{linear, linear_then};
pub use mix::mix;
pub use pool::{global_avg_pool2d, max_pool2d};
pub use resize::{pixel_shuffle, upsample_nearest2d};
