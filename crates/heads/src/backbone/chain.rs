//! A backbone is its stages, one after the other.

use candle_core::Tensor;
use taskweave_kernels::Result;

use crate::{Mode, Stage};

/// What a backbone gives to the heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// `[batch, width]`.
    Vector {
        /// Values per sample.
        width: usize,
    },
    /// `[batch, channels, height / stride, width / stride]`.
    Map {
        /// Channels.
        channels: usize,
        /// Input pixels per feature pixel, in each direction.
        stride: usize,
    },
}

/// A list of stages, one after the other.
///
/// The crate's opening page builds one from stock candle layers.
pub struct Backbone {
    stages: Vec<Box<dyn Stage>>,
    features: Features,
}

impl Backbone {
    /// A backbone from its stages and what comes out of the last one.
    pub fn new(stages: Vec<Box<dyn Stage>>, features: Features) -> Self {
        Self { stages, features }
    }

    /// What comes out of the last stage.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Box<dyn Stage>] {
        &self.stages
    }

    /// Applies all stages.
    ///
    /// # Errors
    /// A misshapen input.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.stages.iter().try_fold(x.clone(), |x, stage| stage.forward(&x, mode))
    }
}
