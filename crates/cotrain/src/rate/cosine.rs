//! Cosine: half a cosine from the base rate down to a minimum.
//!
//! ```text
//! rate(t) = minimum + (base − minimum) · (1 + cos(π t / period)) / 2
//! ```
//! Variants: after the period the rate stays at the minimum. Common code goes up again as the cosine does, or
//! starts anew (warm restarts).
//! Reference: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, eq. 5,
//! <https://arxiv.org/abs/1608.03983>.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// Half a cosine from the base rate down to a minimum.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `period` | required | ≥ 1 | time to reach the minimum |
/// | `minimum` | 0 | ≥ 0 | the rate at the end |
///
/// # Example
/// Half way the cosine is 0.
/// ```
/// use taskweave_cotrain::rate::{Cosine, Rate};
/// let cosine = Cosine::new(10, 0.2)?;
/// assert_eq!([cosine.rate(1.0, 0), cosine.rate(1.0, 10), cosine.rate(1.0, 99)], [1.0, 0.2, 0.2]);
/// assert!((cosine.rate(1.0, 5) - 0.6).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Cosine {
    period: u64,
    minimum: f64,
}

impl Cosine {
    /// Down to `minimum` within `period`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(period: u64, minimum: f64) -> Result<Self> {
        range::at_least("period", 1, period)?;
        range::not_negative("minimum", minimum)?;
        Ok(Self { period, minimum })
    }
}

impl Rate for Cosine {
    fn rate(&self, base: f64, time: u64) -> f64 {
        if time >= self.period {
            return self.minimum;
        }
        let angle = PI * time as f64 / self.period as f64;
        self.minimum + (base - self.minimum) * (1.0 + angle.cos()) / 2.0
    }
}

stateless!(Cosine);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    period: u64,
    #[serde(default)]
    minimum: f64,
}

impl TryFrom<Fields> for Cosine {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.period, fields.minimum)
    }
}
