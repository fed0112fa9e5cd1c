//! What listens to a training.

use taskweave_kernels::Result;

use super::EpochRecord;
use crate::StepReport;

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It does.
    Continue,
    /// It ends after this epoch, which is recorded and saved as any other.
    Stop,
}

/// What listens to a training: a progress bar, a log, a rule of one's own for stopping.
///
/// # Example
/// Stop as soon as a loss is small enough.
/// ```
/// use taskweave_cotrain::{Callback, Control, EpochRecord};
/// use taskweave_kernels::Result;
/// struct Enough(f64);
/// impl Callback for Enough {
///     fn on_epoch(&mut self, record: &EpochRecord) -> Result<Control> {
///         let done = record.train.values().all(|loss| *loss < self.0);
///         Ok(if done { Control::Stop } else { Control::Continue })
///     }
/// }
/// ```
pub trait Callback: Send {
    /// Before the first step; `steps` are still to come, `done` lie behind where the training resumes.
    ///
    /// # Errors
    /// Those of the listener; the training ends with it.
    fn on_start(&mut self, _done: u64, _steps: u64) -> Result<()> {
        Ok(())
    }

    /// After each step.
    ///
    /// # Errors
    /// Those of the listener; the training ends with it.
    fn on_step(&mut self, _report: &StepReport) -> Result<()> {
        Ok(())
    }

    /// After each epoch and its validation.
    ///
    /// # Errors
    /// Those of the listener; the training ends with it.
    fn on_epoch(&mut self, _record: &EpochRecord) -> Result<Control> {
        Ok(Control::Continue)
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// Those of the listener.
    fn on_end(&mut self) -> Result<()> {
        Ok(())
    }
}
