//! One class per pixel.
//!
//! A 3 × 3 convolution with ReLU mixes the neighborhood into half as many channels; a 1 × 1 convolution then predicts, for every feature
//! pixel, the logits of all `stride²` image pixels that it stands for, and a pixel shuffle lays them out. The
//! work is done at the resolution of the features, and no detail is lost to interpolation.
//! Reference: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
//! Convolutional Neural Network", CVPR 2016.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use taskweave_kernels::{Error, Result, ops};

use crate::{Conv, Features, Mode, Stage};

/// Logits `[batch, classes, height, width]` at the resolution of the input image.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Dense, Features, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let head = Dense::new(&params.task("mask"), Features::Map { channels: 4, stride: 2 }, 2)?;
/// let x = Tensor::zeros((3, 4, 5, 6), DType::F32, &Device::Cpu)?;
/// assert_eq!(head.forward(&x, Mode::Eval)?.dims(), [3, 2, 10, 12]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Dense {
    mix: Conv,
    out: Conv,
    stride: usize,
}

impl Dense {
    /// A head for so many classes over a feature map.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two classes or features that are no map.
    pub fn new(vb: &VarBuilder<'_>, features: Features, classes: usize) -> Result<Self> {
        let Features::Map { channels, stride } = features else {
            return Err(Error::parameter("features of a dense head", "a map", format!("{features:?}")));
        };
        if classes < 2 {
            return Err(Error::parameter("classes", "at least 2", classes));
        }
        let mixed = channels.div_ceil(2);
        let mix = Conv::new(&vb.pp("mix"), [channels, mixed], 3)?;
        let out = Conv::new(&vb.pp("out"), [mixed, classes * stride * stride], 1)?;
        Ok(Self { mix, out, stride })
    }
}

impl Stage for Dense {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let x = ops::relu(&self.mix.forward(x, mode)?)?;
        ops::pixel_shuffle(&self.out.forward(&x, mode)?, self.stride)
    }
}
