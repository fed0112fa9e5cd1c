//! Layers: a tensor in, a tensor out.
//!
//! | stage | what it does | parameters |
//! | --- | --- | --- |
//! | [`Linear`] | affine map of the last dimension, with an activation | weight, bias |
//! | [`Conv`] | convolution of images | weight, bias |
//! | [`BatchNorm`] | normalizes channels, with an activation | weight, bias, running statistics |
//! | [`LayerNorm`] | normalizes the last dimension | weight, bias |
//! | [`Embedding`] | a vector for each id | weight |
//! | [`EncoderLayer`] | attention and two linear layers of a transformer | theirs |
//! | [`Gru`] | states over a sequence | weights and biases of inputs and states |
//! | [`Relu`] | max(x, 0) | – |
//! | [`MaxPool`] | halves height and width | – |
//! | [`Dropout`] | drops values while training | – |

use candle_core::{Module, Tensor};
use taskweave_kernels::Result;

use crate::Mode;

mod batch_norm;
mod conv;
mod dropout;
mod embedding;
mod encoder;
mod gru;
mod layer_norm;
mod linear;
mod pool;
mod relu;

pub use batch_norm::{BatchNorm, Normalization};
pub use conv::Conv;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use encoder::EncoderLayer;
pub use gru::Gru;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use pool::MaxPool;
pub use relu::Relu;

/// A layer, a block or a head. Every candle `Module`, closures included, is one.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_heads::{Mode, Stage};
/// let double = |x: &Tensor| x * 2.0;
/// let y = Stage::forward(&double, &Tensor::new(4f64, &Device::Cpu)?, Mode::Eval)?;
/// assert_eq!(y.to_scalar::<f64>()?, 8.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Stage: Send + Sync {
    /// Applies the stage to a batch.
    ///
    /// # Errors
    /// A misshapen input.
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor>;
}

impl<M: Module + Send + Sync> Stage for M {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        Ok(Module::forward(self, x)?)
    }
}
