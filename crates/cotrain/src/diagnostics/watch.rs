//! A callback that records how the gradients of the tasks meet.

use std::path::{Path, PathBuf};

use taskweave_kernels::Result;

use super::{GradientRecord, Layers, Period};
use crate::{Callback, Control, EpochRecord, JsonLines, Over, Part, Step, Upcoming};

/// Records how the gradients of the tasks meet, as JSON lines: cosines, norm ratios and conflict rate, over all shared
/// parameters and, where it is asked for, layer by layer.
///
/// The gradients are those of the step that is about to be taken, of the losses before a scalarizer weighs them; of several
/// batches that make one step, those of the first. Each look costs a forward pass and one backward pass of the shared part
/// per task; the training goes on as it would without. Started again, a training has every line once.
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `path` | – | the file; [`JsonLines::read`] gives the [`GradientRecord`]s back |
/// | `period` | – | when it looks |
/// | `layers` | none | which layers are looked at by themselves |
///
/// # Example
/// ```
/// use taskweave_cotrain::diagnostics::{GradientWatch, Layers, Period};
/// let watch = GradientWatch::new("runs/mine/gradients.jsonl", Period::Steps(50))?.layers(Layers::Each);
/// assert!(GradientWatch::new("gradients.jsonl", Period::Steps(0)).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct GradientWatch {
    period: Period,
    layers: Layers,
    path: PathBuf,
    lines: Option<JsonLines>,
}

impl GradientWatch {
    /// Writes to this file.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a period of no step.
    pub fn new(path: impl AsRef<Path>, period: Period) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        Ok(Self { period: period.checked()?, layers: Layers::None, path, lines: None })
    }

    /// Looks at these layers by themselves as well.
    pub fn layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }
}

impl Callback for GradientWatch {
    fn on_start(&mut self, _: u64, _: u64) -> Result<()> {
        self.lines = None;
        Ok(())
    }

    fn before_step(&mut self, step: &mut Step, upcoming: &Upcoming<'_>) -> Result<()> {
        if self.lines.is_none() {
            self.lines = Some(JsonLines::open(&self.path, upcoming.step)?);
        }
        let (Some(lines), Some(batch)) = (&mut self.lines, upcoming.batches.first()) else { return Ok(()) };
        if !self.period.is_due(upcoming) {
            return Ok(());
        }
        let jacobian = step.rows(Part { batch, number: 0 }, Over::Shared)?;
        match jacobian.rows().is_empty() {
            true => Ok(()),
            false => lines.append(&GradientRecord::of(upcoming.step, &jacobian, &self.layers)?),
        }
    }

    fn on_epoch(&mut self, _: &EpochRecord) -> Result<Control> {
        self.lines.as_ref().map_or(Ok(()), JsonLines::sync)?;
        Ok(Control::Continue)
    }
}
