//! Exponential: times a factor at every time.
//!
//! ```text
//! rate(t) = base · gammaᵗ
//! ```

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// Times a factor at every time.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `gamma` | required | > 0 | the factor |
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{Exponential, Rate};
/// assert_eq!(Exponential::new(0.5)?.rate(1.0, 3), 0.125);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Exponential {
    gamma: f64,
}

impl Exponential {
    /// Times `gamma` at every time.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a factor outside its range.
    pub fn new(gamma: f64) -> Result<Self> {
        range::positive("gamma", gamma)?;
        Ok(Self { gamma })
    }
}

impl Rate for Exponential {
    fn rate(&self, base: f64, time: u64) -> f64 {
        base * self.gamma.powf(time as f64)
    }
}

stateless!(Exponential);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    gamma: f64,
}

impl TryFrom<Fields> for Exponential {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.gamma)
    }
}
