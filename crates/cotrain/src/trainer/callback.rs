//! What listens to a training.

use taskweave_data::Batch;
use taskweave_kernels::Result;

use super::EpochRecord;
use crate::{Step, StepReport};

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It does.
    Continue,
    /// It ends after this epoch, which is recorded and saved as any other.
    Stop,
}

/// The step that is about to be taken, and its place in the training.
#[derive(Debug, Clone, Copy)]
pub struct Upcoming<'a> {
    /// The number of the epoch, from 0.
    pub epoch: u64,
    /// Batches of the epoch that lie behind.
    pub batch: usize,
    /// The number of the step, from 0.
    pub step: u64,
    /// The batches that make the step, on the device of the parameters.
    pub batches: &'a [Batch],
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

    /// Before each step, its learning rate set. A listener may look at the step ([`Step::rows`], [`Step::lookahead`]) and
    /// tell its objective what it is after ([`Step::prefer`]); what it trains, the training does not know of.
    ///
    /// # Errors
    /// Those of the listener; the training ends with it.
    fn before_step(&mut self, _step: &mut Step, _upcoming: &Upcoming<'_>) -> Result<()> {
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
