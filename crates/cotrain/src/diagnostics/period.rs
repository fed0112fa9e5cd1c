//! When a callback looks.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use crate::Upcoming;

/// When a callback looks at a step.
///
/// # Example
/// ```
/// use taskweave_cotrain::{Upcoming, diagnostics::Period};
/// let at = |step, batch| Upcoming { epoch: 1, batch, step, batches: &[] };
/// assert!(Period::Steps(10).is_due(&at(20, 3)) && !Period::Steps(10).is_due(&at(21, 4)));
/// assert!(Period::Epoch.is_due(&at(17, 0)) && !Period::Epoch.is_due(&at(20, 3)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// At every step whose number is a multiple of this, which is at least 1.
    Steps(u64),
    /// At the first step of every epoch.
    Epoch,
}

impl Period {
    /// Whether the step that comes is one to look at: a matter of its place alone, so that a resumed training looks where an
    /// uninterrupted one does.
    pub fn is_due(self, upcoming: &Upcoming<'_>) -> bool {
        match self {
            Self::Steps(n) => upcoming.step.is_multiple_of(n.max(1)),
            Self::Epoch => upcoming.batch == 0,
        }
    }

    pub(super) fn checked(self) -> Result<Self> {
        match self {
            Self::Steps(0) => Err(Error::parameter("steps of a period", "at least 1", 0)),
            period => Ok(period),
        }
    }
}
