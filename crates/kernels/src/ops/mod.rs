//! Differentiable functions that layers are made of.
//!
//! Layers call these and nothing below them, so that a faster kernel changes nothing above. On the CPU, in f32
//! and f64, each function of the first table is a single node of candle's graph with a backward pass of its
//! own, parallel over images, rows or channels in a fixed split: results do not depend on the number of threads.
//! Elsewhere the same functions are compositions of candle's operations.
//!
//! | function | formula | needs |
//! | --- | --- | --- |
//! | [`conv2d`] | cross-correlation: Winograd's algorithm for 3 × 3, a direct loop for depthwise, else im2col | groups divide channels |
//! | [`batch_norm`] | γ (x − μ) / √(σ² + ε) + β per channel | more than one value per channel to train |
//! | [`max_pool2d`] | largest value per window | window within the image |
//! | [`upsample_nearest2d`] | every pixel repeated scale × scale times | scale ≥ 1 |
//! | [`relu`] | max(x, 0) | – |
//!
//! | composition | formula |
//! | --- | --- |
//! | [`linear`] | x Wᵀ + b |
//! | [`global_avg_pool2d`] | mean over height and width |
//! | [`pixel_shuffle`] | channels to space |
//! | [`dropout`] | x ∘ mask / (1 − p), mask from an [`Rng`](crate::Rng) |
//! | [`all_finite`] | whether no value is NaN or infinite |

mod algorithm;
mod batch_norm;
mod conv2d;
mod depthwise;
mod dropout;
mod finite;
pub(crate) mod host;
mod linear;
mod pool;
mod relu;
mod resize;
mod sums;
mod unfold;
mod winograd;

pub use batch_norm::{ChannelStats, Statistics, batch_norm, channel_stats};
pub use conv2d::{Conv2d, conv2d};
pub use dropout::dropout;
pub use finite::all_finite;
pub use linear::linear;
pub use pool::{global_avg_pool2d, max_pool2d};
pub use relu::relu;
pub use resize::{pixel_shuffle, upsample_nearest2d};
