//! Which block of parameters is held fixed at a step.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Owner, Result};

/// Whether all blocks learn together or take turns in being held.
///
/// The blocks are the shared trunk, then the head of each task in order. Every block has an optimizer of its
/// own, whose state waits unchanged while the block is held, and so do its running statistics.
///
/// # Example
/// ```
/// use taskweave_cotrain::Schedule;
/// use taskweave_kernels::Owner;
/// let tasks = ["class".to_string(), "mask".to_string()];
/// let alternating = Schedule::Alternating { period: 10 };
/// assert_eq!(alternating.held(0, &tasks), Some(Owner::Shared));
/// assert_eq!(alternating.held(19, &tasks), Some(Owner::Task("class".into())));
/// assert_eq!(alternating.held(30, &tasks), Some(Owner::Shared));
/// assert_eq!(Schedule::Joint.held(0, &tasks), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// All blocks learn at every step.
    #[default]
    Joint,
    /// One block is held fixed while the others learn, block after block.
    Alternating {
        /// Steps for which a block is held, at least 1.
        period: u64,
    },
}

impl Schedule {
    /// The block that is held at `step` (counted from 0) of a model with these tasks.
    pub fn held(&self, step: u64, tasks: &[String]) -> Option<Owner> {
        let Self::Alternating { period } = self else { return None };
        let turn = (step / (*period).max(1)) as usize % (tasks.len() + 1);
        Some(match turn {
            0 => Owner::Shared,
            i => Owner::Task(tasks[i - 1].clone()),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Alternating { period: 0 } => {
                Err(Error::parameter("period of the alternating schedule", "at least 1", 0))
            }
            _ => Ok(()),
        }
    }
}
