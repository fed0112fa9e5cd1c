//! From features of either form to a vector, then an affine map: what classification and regression share.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use taskweave_kernels::{Result, ops};

use crate::{Features, Linear, Mode, Stage};

/// An affine map of a vector, or of the mean over a map.
#[derive(Debug)]
pub(super) struct Readout {
    linear: Linear,
    features: Features,
}

impl Readout {
    pub(super) fn new(vb: &VarBuilder<'_>, features: Features, out: usize) -> Result<Self> {
        let width = match features {
            Features::Vector { width } => width,
            Features::Map { channels, .. } => channels,
        };
        Ok(Self { linear: Linear::new(&vb.pp("out"), width, out)?, features })
    }

    pub(super) fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        match self.features {
            Features::Vector { .. } => self.linear.forward(x, mode),
            Features::Map { .. } => self.linear.forward(&ops::global_avg_pool2d(x)?, mode),
        }
    }
}
