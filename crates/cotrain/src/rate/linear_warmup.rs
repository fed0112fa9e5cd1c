//! LinearWarmup: a line from a share of the base rate up to the base rate.
//!
//! ```text
//! rate(t) = base · (start_factor + (1 − start_factor) · min(t / epochs, 1))
//! ```
//! Reference: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2,
//! <https://arxiv.org/abs/1706.02677>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// A line from a share of the base rate up to the base rate, which stays from then on.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `start_factor` | 1/3 | > 0 | share of the base rate at the start |
/// | `epochs` | 5 | ≥ 1 | time to reach the base rate, in the caller's unit |
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{LinearWarmup, Rate};
/// let warmup = LinearWarmup::new(0.5, 2)?;
/// assert_eq!([0, 1, 2, 3].map(|t| warmup.rate(1.0, t)), [0.5, 0.75, 1.0, 1.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct LinearWarmup {
    start_factor: f64,
    epochs: u64,
}

impl LinearWarmup {
    /// From `start_factor` times the base rate up to the base rate within `epochs`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(start_factor: f64, epochs: u64) -> Result<Self> {
        range::positive("start_factor", start_factor)?;
        range::at_least("epochs", 1, epochs)?;
        Ok(Self { start_factor, epochs })
    }
}

impl Rate for LinearWarmup {
    fn rate(&self, base: f64, time: u64) -> f64 {
        let share = time.min(self.epochs) as f64 / self.epochs as f64;
        base * (self.start_factor + (1.0 - self.start_factor) * share)
    }
}

stateless!(LinearWarmup);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    start_factor: f64,
    epochs: u64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { start_factor: 1.0 / 3.0, epochs: 5 }
    }
}

impl TryFrom<Fields> for LinearWarmup {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.start_factor, fields.epochs)
    }
}
