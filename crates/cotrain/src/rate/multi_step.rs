//! MultiStep: times a factor at given times.
//!
//! ```text
//! rate(t) = base · gamma^(number of milestones ≤ t)
//! ```

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::stateless::stateless;

/// Times a factor at given times.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `milestones` | required | strictly increasing | the times of change |
/// | `gamma` | 0.1 | > 0 | factor at each of them |
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{MultiStep, Rate};
/// let steps = MultiStep::new(vec![3, 5], 0.5)?;
/// assert_eq!([steps.rate(1.0, 2), steps.rate(1.0, 3), steps.rate(1.0, 9)], [1.0, 0.5, 0.25]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct MultiStep {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStep {
    /// Times `gamma` at each of the `milestones`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(milestones: Vec<u64>, gamma: f64) -> Result<Self> {
        range::increasing("milestones", &milestones)?;
        range::positive("gamma", gamma)?;
        Ok(Self { milestones, gamma })
    }
}

impl Rate for MultiStep {
    fn rate(&self, base: f64, time: u64) -> f64 {
        let passed = self.milestones.partition_point(|&milestone| milestone <= time);
        base * self.gamma.powf(passed as f64)
    }
}

stateless!(MultiStep);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    milestones: Vec<u64>,
    #[serde(default = "tenth")]
    gamma: f64,
}

fn tenth() -> f64 {
    0.1
}

impl TryFrom<Fields> for MultiStep {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.milestones, fields.gamma)
    }
}
