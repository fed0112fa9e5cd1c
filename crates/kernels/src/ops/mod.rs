//! Differentiable functions that layers are made of.
//!
//! Layers call these and nothing below them, so that a faster kernel changes nothing above. On the CPU, in f32
//! and f64, each function of the first table is a single [`Function`](crate::autograd::Function) with a backward
//! pass of its own, parallel over images, rows or channels in a fixed split: results do not depend on the number of threads.
//! Elsewhere the same functions are compositions of candle's operations.
//!
//! | function | formula | needs |
//! | --- | --- | --- |
//! | [`conv2d`] | cross-correlation: Winograd's algorithm for 3 × 3, a direct loop for depthwise, else im2col | groups divide channels |
//! | [`batch_norm`] | γ (x − μ) / √(σ² + ε) + β per channel | more than one value per channel to train |
//! | [`batch_norm_then`] | an activation of the same | as above |
//! | [`layer_norm`] | γ (x − μ) / √(σ² + ε) + β per row | – |
//! | [`rms_norm`] | γ x / √(mean(x²) + ε) per row | – |
//! | [`group_norm`] | γ (x − μ) / √(σ² + ε) + β, statistics per group of channels | groups divide channels |
//! | [`max_pool2d`], [`max_pool2d_with`] | largest value per window | a value in each window |
//! | [`adaptive_max_pool2d`] | largest value of each of h' × w' windows | – |
//! | [`avg_pool2d`], [`adaptive_avg_pool2d`] | mean of the same windows | as above |
//! | [`global_avg_pool2d`] | mean over height and width | – |
//! | [`mean_pool1d`] | mean over time | – |
//! | [`upsample_nearest2d`] | every pixel repeated scale × scale times | scale ≥ 1 |
//! | [`upsample_bilinear2d`] | mean of up to four pixels, weighted by nearness | – |
//! | [`conv_transpose2d`] | every pixel spread over a window | groups divide channels |
//! | [`gradient_scale`], [`gradient_reversal`] | x, its gradient scaled | – |
//! | [`linear`], [`linear_then`] | x Wᵀ + b, and an activation of it | – |
//! | [`attention`], [`self_attention`] | softmax(q kᵀ / √dim + mask) v per head | heads divide the widths |
//! | [`gru`] | h ← (1 − z) ∘ n + z ∘ h over a sequence | – |
//! | [`embedding`], [`embedding_padded`] | rows of a table by their numbers | every id below the rows |
//! | [`lstm`] | c ← f ∘ c + i ∘ g, h ← o ∘ tanh c over a sequence | – |
//! | [`softmax`], [`log_softmax`] | e^xᵢ / Σ e^xⱼ over the last dimension, and its logarithm | – |
//! | [`expert_linear`] | an activation of x Wₑᵀ + bₑ for several experts e | – |
//! | [`mix`] | Σ softmax(gates)ₑ yₑ over experts, for one task or several | an expert |
//! | [`add`] | a + b | – |
//! | [`concat_features`] | the values of each sample, side by side | – |
//! | [`bce_with_logits`] | −p t log σ(x) − (1 − t) log(1 − σ(x)) | p > 0 |
//! | [`activate`], [`relu`] | an [`Activation`] of every value | – |
//!
//! | composition | formula |
//! | --- | --- |
//! | [`pixel_shuffle`] | channels to space |
//! | [`dropout`] | x ∘ mask / (1 − p), mask from an [`Rng`](crate::Rng) |
//! | [`all_finite`] | whether no value is NaN or infinite |

mod activation;
mod add;
mod algorithm;
mod attention;
mod batch_norm;
mod bce;
mod bilinear;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod depthwise;
mod dropout;
mod embedding;
mod experts;
pub(crate) mod finite;
pub(crate) mod fresh;
mod gradient;
mod group_norm;
pub(crate) mod host;
mod lanes;
mod layer_norm;
mod linear;
mod mix;
mod planes;
mod pool;
mod recurrent;
mod resize;
mod rows;
mod separable;
mod softmax;
mod sums;
mod unfold;
mod winograd;

pub use activation::{Activation, activate, relu};
pub use add::add;
pub use attention::{Attention, AttentionMask, attention, self_attention};
pub use batch_norm::{BatchNorm, ChannelStats, Statistics, batch_norm, batch_norm_then, channel_stats};
pub use bce::bce_with_logits;
pub use bilinear::{Corners, upsample_bilinear2d};
pub use concat::concat_features;
pub use conv_transpose2d::{ConvTranspose2d, conv_transpose2d};
pub use conv2d::{Conv2d, conv2d};
pub use dropout::dropout;
pub use embedding::{embedding, embedding_padded};
pub use experts::expert_linear;
pub use finite::all_finite;
pub use gradient::{gradient_reversal, gradient_scale};
pub use group_norm::group_norm;
pub use layer_norm::{layer_norm, rms_norm};
pub use linear::{linear, linear_then};
pub use mix::mix;
pub use pool::{
    Border, Pool2d, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, global_avg_pool2d, max_pool2d,
    max_pool2d_with, mean_pool1d,
};
pub use recurrent::{RecurrentWeights, gru, lstm};
pub use resize::{pixel_shuffle, upsample_nearest2d};
pub use softmax::{log_softmax, softmax};
