//! Plain: the ordinary step, over one batch or several as if they were one.
//!
//! One step is
//!     θ ← optimizer(θ, ∇ scalarizer(L₁(θ), …, L_K(θ)))
//! See [`Step::step_over`]; all parts of the step apply. The last batches of an epoch make a smaller step.

use taskweave_data::Last;
use taskweave_kernels::{Error, Result};

use super::{Batches, Needs, Protocol};
use crate::stateless::stateless;
use crate::{Step, StepReport};

/// The ordinary step.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `batches` | 1 | ≥ 1 | batches that make one step |
///
/// # Example
/// ```
/// use taskweave_cotrain::protocol::{Plain, Protocol};
/// assert_eq!(Plain::new(4)?.needs().train, 4);
/// assert!(Plain::new(0).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    pub(crate) batches: usize,
}

impl Plain {
    /// Steps over so many batches.
    ///
    /// # Errors
    /// [`Error::Parameter`] for none.
    pub fn new(batches: usize) -> Result<Self> {
        if batches == 0 {
            return Err(Error::parameter("batches of a step", "at least 1", 0));
        }
        Ok(Self { batches })
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self { batches: 1 }
    }
}

impl Protocol for Plain {
    fn needs(&self) -> Needs {
        Needs { train: self.batches, upper: 0, last: Last::Keep }
    }

    fn step(&mut self, step: &mut Step, batches: &Batches<'_>) -> Result<StepReport> {
        let [] = batches.judging("the plain protocol")?;
        step.step_over(batches.train)
    }
}

stateless!(Plain);
