//! A fixed threshold: take what reaches τ.
//!
//! Reference: Sohn et al., "FixMatch", NeurIPS 2020, <https://arxiv.org/abs/2001.07685>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{Probabilities, Threshold};
use crate::range;
use crate::stateless::stateless;

/// Takes a prediction whose probability reaches τ.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `tau` | 0.95 | ≥ 0 | the probability to reach; above 1 nothing is taken |
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::threshold::{Fixed, Probabilities, Threshold};
/// let p = Probabilities::new(2, vec![0.97, 0.03, 0.6, 0.4])?;
/// assert_eq!(Fixed::default().select(&[0, 1], &p)?, [true, false]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Fixed {
    tau: f64,
}

impl Fixed {
    /// The probability to reach.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `tau` that is negative or not finite.
    pub fn new(tau: f64) -> Result<Self> {
        range::not_negative("tau", tau)?;
        Ok(Self { tau })
    }
}

impl Default for Fixed {
    fn default() -> Self {
        Self { tau: 0.95 }
    }
}

impl Threshold for Fixed {
    fn select(&mut self, _: &[usize], p: &Probabilities) -> Result<Vec<bool>> {
        Ok(p.best().iter().map(|(_, confidence)| *confidence >= self.tau).collect())
    }
}

stateless!(Fixed);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    tau: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { tau: Fixed::default().tau }
    }
}

impl TryFrom<Fields> for Fixed {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.tau)
    }
}
