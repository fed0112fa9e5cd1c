//! Step: times a factor at regular distances.
//!
//! ```text
//! rate(t) = base · gamma^⌊t / step_size⌋
//! ```

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// Times a factor at regular distances.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `step_size` | required | ≥ 1 | time between two changes |
/// | `gamma` | 0.1 | > 0 | factor at each change |
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{Rate, Step};
/// let step = Step::new(10, 0.5)?;
/// assert_eq!([step.rate(1.0, 9), step.rate(1.0, 10), step.rate(1.0, 20)], [1.0, 0.5, 0.25]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Step {
    step_size: u64,
    gamma: f64,
}

impl Step {
    /// Times `gamma` every `step_size`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(step_size: u64, gamma: f64) -> Result<Self> {
        range::at_least("step_size", 1, step_size)?;
        range::positive("gamma", gamma)?;
        Ok(Self { step_size, gamma })
    }
}

impl Rate for Step {
    fn rate(&self, base: f64, time: u64) -> f64 {
        base * self.gamma.powf((time / self.step_size) as f64)
    }
}

stateless!(Step);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    step_size: u64,
    #[serde(default = "tenth")]
    gamma: f64,
}

fn tenth() -> f64 {
    0.1
}

impl TryFrom<Fields> for Step {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.step_size, fields.gamma)
    }
}
