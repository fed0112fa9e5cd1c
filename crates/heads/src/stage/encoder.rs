//! One layer of a transformer encoder, with normalization before each part.
//!
//! x ← x + attention(norm(x)),   x ← x + W₂ ReLU(W₁ norm(x) + b₁) + b₂
//! References: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, <https://arxiv.org/abs/1706.03762>; Xiong et al.,
//! "On Layer Normalization in the Transformer Architecture", ICML 2020, <https://arxiv.org/abs/2002.04745> (norm first).

use candle_core::Tensor;
use candle_nn::VarBuilder;
use taskweave_kernels::ops::{self, Activation, Attention};
use taskweave_kernels::{Error, Result};

use super::{Dropout, LayerNorm, Linear, Stage};
use crate::{Mode, TransformerConfig};

/// Self-attention and two linear layers, each around a normalization, from `[batch, time, width]` to the same.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{EncoderLayer, Mode, Params, Stage, TransformerConfig};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let config = TransformerConfig { width: 8, layers: 1, heads: 2, inner: 16, dropout: 0.0 };
/// let layer = EncoderLayer::new(&params.shared(), &config)?;
/// let x = Tensor::zeros((2, 5, 8), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x, Mode::Eval)?.dims(), [2, 5, 8]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct EncoderLayer {
    norms: [LayerNorm; 2],
    projection: Linear,
    attended: Linear,
    inner: [Linear; 2],
    dropout: [Dropout; 2],
    heads: usize,
}

impl EncoderLayer {
    /// A layer of the sizes of `config`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for heads that do not divide the width and for other values out of range.
    pub fn new(vb: &VarBuilder<'_>, config: &TransformerConfig) -> Result<Self> {
        let TransformerConfig { width, heads, inner, dropout, .. } = *config;
        if heads == 0 || width % heads != 0 {
            return Err(Error::parameter("heads of a transformer", format!("a divisor of {width}"), heads));
        }
        let drop = |part: &str| Dropout::new(&format!("{}.{part}.dropout", vb.prefix()), dropout);
        Ok(Self {
            norms: [LayerNorm::new(&vb.pp("norm1"), width)?, LayerNorm::new(&vb.pp("norm2"), width)?],
            projection: Linear::new(&vb.pp("projection"), width, 3 * width)?,
            attended: Linear::new(&vb.pp("attended"), width, width)?,
            inner: [
                Linear::new(&vb.pp("inner1"), width, inner)?.then(Activation::Relu),
                Linear::new(&vb.pp("inner2"), inner, width)?,
            ],
            dropout: [drop("attended")?, drop("inner")?],
            heads,
        })
    }
}

impl Stage for EncoderLayer {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let qkv = self.projection.forward(&self.norms[0].forward(x, mode)?, mode)?;
        let attended = ops::self_attention(&qkv, Attention { heads: self.heads, ..Attention::default() })?;
        let attended = self.dropout[0].forward(&self.attended.forward(&attended, mode)?, mode)?;
        let x = ops::add(x, &attended)?;
        let inner = self.inner[0].forward(&self.norms[1].forward(&x, mode)?, mode)?;
        let inner = self.dropout[1].forward(&self.inner[1].forward(&inner, mode)?, mode)?;
        ops::add(&x, &inner)
    }
}
