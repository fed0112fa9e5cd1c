//! Which way a value is better.

use serde::{Deserialize, Serialize};

/// Which way a value is better.
///
/// # Example
/// ```
/// use taskweave_loss::Direction;
/// assert!(Direction::Higher.is_better(0.9, 0.8)); // accuracy
/// assert!(Direction::Lower.is_better(0.8, 0.9)); // error
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
}

impl Direction {
    /// Whether `value` is strictly better than `other`; NaN is never better.
    pub fn is_better(self, value: f64, other: f64) -> bool {
        match self {
            Self::Higher => value > other,
            Self::Lower => value < other,
        }
    }
}
