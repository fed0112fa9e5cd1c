//! What is done to gradients that are too large.

use serde::{Deserialize, Serialize};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::optim::{clip_norm, clip_value};
use taskweave_kernels::{Error, Named, Result};

/// What is done to gradients that are too large.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// Nothing.
    #[default]
    None,
    /// All gradients are scaled by one factor, so that their common 2-norm is at most `max`.
    Norm {
        /// A finite number > 0.
        max: f64,
    },
    /// Every number is moved into `[−max, max]`.
    Value {
        /// A finite number > 0.
        max: f64,
    },
}

impl Clip {
    /// The clipped gradients, and their 2-norm before.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the name of a gradient that has a NaN or an infinity.
    pub(super) fn apply(self, gradients: &Named<Gradient>) -> Result<(Named<Gradient>, f64)> {
        match self {
            Self::Norm { max } => clip_norm(gradients, max),
            Self::None => clip_norm(gradients, f64::MAX),
            Self::Value { max } => {
                let (_, norm) = clip_norm(gradients, f64::MAX)?;
                Ok((clip_value(gradients, max)?, norm))
            }
        }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Norm { max } | Self::Value { max } if !(max.is_finite() && max > 0.0) => {
                Err(Error::parameter("max of clipping", "a finite number > 0", max))
            }
            _ => Ok(()),
        }
    }
}
