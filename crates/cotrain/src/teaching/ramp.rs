//! How a weight grows over the first steps.

use serde::{Deserialize, Serialize};

/// How a weight grows over the first steps: a factor in [0, 1].
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::Ramp;
/// assert_eq!(Ramp::None.at(0), 1.0);
/// assert_eq!(Ramp::Linear { steps: 10 }.at(3), 0.3);
/// assert_eq!(Ramp::Gaussian { steps: 10 }.at(5), (-1.25f64).exp()); // exp(−5·(1 − ½)²)
/// assert_eq!(Ramp::Gaussian { steps: 10 }.at(10), 1.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ramp {
    /// 1 from the first step on.
    #[default]
    None,
    /// t / T, and 1 from step T on.
    Linear {
        /// T.
        steps: u64,
    },
    /// exp(−5·(1 − t/T)²), and 1 from step T on (Laine and Aila, ICLR 2017).
    Gaussian {
        /// T.
        steps: u64,
    },
}

impl Ramp {
    /// The factor at a step, counted from 0.
    pub fn at(self, step: u64) -> f64 {
        match self {
            Self::Linear { steps } if step < steps => step as f64 / steps as f64,
            Self::Gaussian { steps } if step < steps => {
                (-5.0 * (1.0 - step as f64 / steps as f64).powi(2)).exp()
            }
            _ => 1.0,
        }
    }
}
