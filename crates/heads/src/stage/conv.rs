//! Convolution of images.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave_kernels::ops::{self, Conv2d};
use taskweave_kernels::{Error, Result};

use super::Stage;
use crate::Mode;

/// A convolution with a square kernel that keeps height and width.
///
/// The kernel is initially normal with variance 2 / (in · kernel²), as suits a ReLU (He et al., ICCV 2015); the
/// bias is 0.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Conv, Mode, Params, Stage};
/// use taskweave_kernels::Rng;
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let layer = Conv::new(&params.shared().pp("layer"), [3, 8], 3)?;
/// let x = Tensor::zeros((2, 3, 6, 6), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x, Mode::Eval)?.dims(), [2, 8, 6, 6]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    config: Conv2d,
}

impl Conv {
    /// A convolution between channel counts `[in, out]` with an odd `kernel`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no channels or an even kernel, and a name that is taken by another shape.
    pub fn new(vb: &VarBuilder<'_>, [channels, out]: [usize; 2], kernel: usize) -> Result<Self> {
        if channels == 0 || out == 0 {
            return Err(Error::parameter(
                "channels of a convolution",
                "at least 1",
                format!("{channels} → {out}"),
            ));
        }
        if kernel.is_multiple_of(2) {
            return Err(Error::parameter("kernel of a convolution", "an odd number", kernel));
        }
        let stdev = (2.0 / (channels * kernel * kernel) as f64).sqrt();
        let init = Init::Randn { mean: 0.0, stdev };
        let weight = vb.get_with_hints((out, channels, kernel, kernel), "weight", init)?;
        let bias = vb.get_with_hints(out, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias, config: Conv2d { padding: kernel / 2, ..Conv2d::default() } })
    }
}

impl Stage for Conv {
    fn forward(&self, x: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        ops::conv2d(x, &self.weight, Some(&self.bias), self.config)
    }
}
