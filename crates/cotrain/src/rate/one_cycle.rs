//! OneCycle: half a cosine up to a maximum, then half a cosine down to almost nothing.
//!
//! ```text
//! first = maximum / div_factor,   last = first / final_div_factor
//! peak  = pct_start · total − 1                      (the time of the maximum)
//! up:    from first to maximum over 0 … peak
//! down:  from maximum to last over peak … total − 1
//! ```
//! The base rate plays no part. After `total` the rate stays at the last one.
//! Reference: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
//! Rates", 2018, section 3, <https://arxiv.org/abs/1708.07120>.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// Half a cosine up to a maximum, then half a cosine down to almost nothing, whatever the base rate.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `maximum` | required | > 0 | the largest rate |
/// | `total` | required | ≥ 2 | length of the cycle |
/// | `pct_start` | 0.3 | `(0, 1)` | share of the cycle that goes up |
/// | `div_factor` | 25 | > 0 | the maximum over the first rate |
/// | `final_div_factor` | 10⁴ | > 0 | the first rate over the last |
///
/// # Example
/// With 30 times, 9 go up, so that the maximum is reached at the ninth.
/// ```
/// use taskweave_cotrain::rate::{OneCycle, Rate};
/// let cycle = OneCycle::new(1.0, 30)?;
/// assert!((cycle.rate(0.1, 0) - 0.04).abs() < 1e-12);
/// assert_eq!(cycle.rate(0.1, 8), 1.0);
/// assert!((cycle.rate(0.1, 29) - 0.04e-4).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct OneCycle {
    maximum: f64,
    total: u64,
    pct_start: f64,
    div_factor: f64,
    final_div_factor: f64,
}

impl OneCycle {
    /// A cycle of length `total` with the default proportions.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(maximum: f64, total: u64) -> Result<Self> {
        Self { maximum, total, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }.checked()
    }

    /// The same with another share of the cycle that goes up.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside its range.
    pub fn with_pct_start(self, pct_start: f64) -> Result<Self> {
        Self { pct_start, ..self }.checked()
    }

    /// The same with other ratios of the maximum over the first rate, and of the first rate over the last.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a ratio outside its range.
    pub fn with_div_factors(self, div_factor: f64, final_div_factor: f64) -> Result<Self> {
        Self { div_factor, final_div_factor, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        range::positive("maximum", self.maximum)?;
        range::at_least("total", 2, self.total)?;
        range::inside("pct_start", self.pct_start)?;
        range::positive("div_factor", self.div_factor)?;
        range::positive("final_div_factor", self.final_div_factor)?;
        Ok(self)
    }
}

impl Rate for OneCycle {
    fn rate(&self, _base: f64, time: u64) -> f64 {
        let first = self.maximum / self.div_factor;
        let end = self.total as f64 - 1.0;
        let (time, peak) = ((time as f64).min(end), self.pct_start * self.total as f64 - 1.0);
        if time < peak {
            return between(first, self.maximum, time / peak);
        }
        between(self.maximum, first / self.final_div_factor, (time - peak) / (end - peak))
    }
}

/// Half a cosine from `from` to `to`, `share` of the way.
fn between(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * share).cos()) / 2.0
}

stateless!(OneCycle);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    maximum: f64,
    total: u64,
    pct_start: Option<f64>,
    div_factor: Option<f64>,
    final_div_factor: Option<f64>,
}

impl TryFrom<Fields> for OneCycle {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let default = Self::new(fields.maximum, fields.total)?;
        Self {
            pct_start: fields.pct_start.unwrap_or(default.pct_start),
            div_factor: fields.div_factor.unwrap_or(default.div_factor),
            final_div_factor: fields.final_div_factor.unwrap_or(default.final_div_factor),
            ..default
        }
        .checked()
    }
}
