//! A plain convolutional trunk.

use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use taskweave_kernels::ops::Activation;
use taskweave_kernels::{Error, Result};

use super::{Backbone, Features};
use crate::{BatchNorm, Conv, Dropout, MaxPool, Normalization, Relu, Stage};

/// A convolutional trunk: per width, `convs` times (3 × 3 convolution, normalization, ReLU), then 2 × 2 pooling
/// after every width but the last, and dropout at the end.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `channels` | – | ≥ 1 | channels of the image |
/// | `widths` | – | at least one, each ≥ 1 | channels of the stages |
/// | `convs` | 1 | ≥ 1 | convolutions per width |
/// | `normalization` | `batch` | `none`, `batch` | after each convolution |
/// | `dropout` | 0 | `[0, 1)` | share of features dropped while training |
///
/// The features are a map with `stride = 2^(widths − 1)`.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{CnnConfig, Features, Mode, Params};
/// use taskweave_kernels::Rng;
/// let config = CnnConfig::new(3, &[8, 16, 32]);
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let trunk = config.build(&params.shared())?;
/// assert_eq!(trunk.features(), Features::Map { channels: 32, stride: 4 });
/// let x = Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(trunk.forward(&x, Mode::Eval)?.dims(), [2, 32, 8, 8]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnnConfig {
    /// Channels of the image.
    pub channels: usize,
    /// Channels of the stages.
    pub widths: Vec<usize>,
    /// Convolutions per width.
    #[serde(default = "one")]
    pub convs: usize,
    /// What follows each convolution.
    #[serde(default)]
    pub normalization: Normalization,
    /// Share of features dropped while training.
    #[serde(default)]
    pub dropout: f64,
}

impl CnnConfig {
    /// The defaults for images of `channels` and stages of `widths`.
    pub fn new(channels: usize, widths: &[usize]) -> Self {
        Self { channels, widths: widths.into(), convs: 1, normalization: Normalization::Batch, dropout: 0.0 }
    }

    /// Builds the trunk.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range.
    pub fn build(&self, vb: &VarBuilder<'_>) -> Result<Backbone> {
        let Some(&last) = self.widths.last() else {
            return Err(Error::parameter("widths of a CNN", "at least one", "none"));
        };
        if self.convs == 0 {
            return Err(Error::parameter("convs of a CNN", "at least 1", 0));
        }
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        let mut channels = self.channels;
        for (i, &width) in self.widths.iter().enumerate() {
            if i > 0 {
                stages.push(Box::new(MaxPool));
            }
            for j in 0..self.convs {
                self.push_block(&mut stages, &vb.pp(format!("{i}.{j}")), [channels, width])?;
                channels = width;
            }
        }
        if self.dropout != 0.0 {
            stages.push(Box::new(Dropout::new(&format!("{}.dropout", vb.prefix()), self.dropout)?));
        }
        let stride = 1 << (self.widths.len() - 1);
        Ok(Backbone::new(stages, Features::Map { channels: last, stride }))
    }

    fn push_block(
        &self,
        stages: &mut Vec<Box<dyn Stage>>,
        vb: &VarBuilder<'_>,
        widths: [usize; 2],
    ) -> Result<()> {
        stages.push(Box::new(Conv::new(&vb.pp("conv"), widths, 3)?));
        stages.push(match self.normalization {
            Normalization::Batch => {
                Box::new(BatchNorm::new(&vb.pp("norm"), widths[1])?.then(Activation::Relu))
            }
            Normalization::None => Box::new(Relu),
        });
        Ok(())
    }
}

fn one() -> usize {
    1
}
