//! A callback that records the affinities of the tasks.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};
use taskweave_loss::Affinity;

use super::Period;
use crate::report::HeatMap;
use crate::{Callback, Control, EpochRecord, JsonLines, Step, Upcoming};

/// Records how much a step for one task helps another one ([`Affinity`]), as JSON lines; their mean over a training is what
/// a [`Grouping`](taskweave_loss::Grouping) is searched by.
///
/// A look takes a step along the gradient of each task alone, of the shared parameters, and takes it back exactly. It costs
/// one forward and one backward pass per task; the training goes on as it would without. Of several batches that make one
/// step, the first is looked at; a step at which a loss is 0 has no line. Started again, a training has every line once.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `path` | – | | the file; [`JsonLines::read`] gives the [`AffinityRecord`]s back |
/// | `period` | – | | when it looks |
/// | `rate` | that of the step | > 0 | η, how far a step goes |
///
/// # Example
/// ```
/// use taskweave_cotrain::diagnostics::{AffinityWatch, Period};
/// let watch = AffinityWatch::new("runs/mine/affinity.jsonl", Period::Steps(10))?.rate(0.01)?;
/// assert!(AffinityWatch::new("affinity.jsonl", Period::Epoch)?.rate(-1.0).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct AffinityWatch {
    period: Period,
    rate: Option<f64>,
    path: PathBuf,
    lines: Option<JsonLines>,
}

/// The affinities at one step, among the tasks of its batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AffinityRecord {
    /// The number of the step.
    pub step: u64,
    /// The affinities.
    pub affinity: Affinity,
}

impl AffinityWatch {
    /// Writes to this file.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a period of no step.
    pub fn new(path: impl AsRef<Path>, period: Period) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        Ok(Self { period: period.checked()?, rate: None, path, lines: None })
    }

    /// How far a step goes, instead of the learning rate of the moment.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate that is not a finite number > 0.
    pub fn rate(mut self, rate: f64) -> Result<Self> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::parameter("rate of a lookahead", "a finite number > 0", rate));
        }
        self.rate = Some(rate);
        Ok(self)
    }

    /// The mean over all steps of a file that this has written.
    ///
    /// # Errors
    /// Those of [`JsonLines::read`] and [`Affinity::mean`].
    pub fn mean(path: impl AsRef<Path>) -> Result<Affinity> {
        let records = JsonLines::read::<AffinityRecord>(path)?;
        Affinity::mean(&records.into_iter().map(|record| record.affinity).collect::<Vec<_>>())
    }
}

impl Callback for AffinityWatch {
    fn on_start(&mut self, _: u64, _: u64) -> Result<()> {
        self.lines = None;
        Ok(())
    }

    fn before_step(&mut self, step: &mut Step, upcoming: &Upcoming<'_>) -> Result<()> {
        if self.lines.is_none() {
            self.lines = Some(JsonLines::open(&self.path, upcoming.step)?);
        }
        let (Some(lines), Some(batch)) = (&mut self.lines, upcoming.batches.first()) else { return Ok(()) };
        // A schedule may stand at a rate of 0, where no step changes anything.
        let rate = self.rate.unwrap_or_else(|| step.rate());
        if !self.period.is_due(upcoming) || rate == 0.0 {
            return Ok(());
        }
        let found = match step.lookahead(batch, rate) {
            // The look-ahead may diverge where the step itself does not.
            Err(Error::NonFinite { .. }) => return Ok(()),
            found => found?,
        };
        // A loss that is not positive has no relative change.
        if found.before.is_empty() || found.before.values().any(|loss| *loss <= 0.0) {
            return Ok(());
        }
        let affinity = Affinity::of(&found.before, &found.after)?;
        lines.append(&AffinityRecord { step: upcoming.step, affinity })
    }

    fn on_epoch(&mut self, _: &EpochRecord) -> Result<Control> {
        self.lines.as_ref().map_or(Ok(()), JsonLines::sync)?;
        Ok(Control::Continue)
    }
}

/// The affinities as a matrix of a report, in percent.
///
/// # Errors
/// None: an affinity has at least one task.
///
/// # Example
/// ```
/// use taskweave_cotrain::{diagnostics::affinity_map, report::Report};
/// use taskweave_kernels::Named;
/// use taskweave_loss::Affinity;
/// let affinity = Affinity::new(Named::new([("class", Named::new([("class", 0.25)])?)])?)?;
/// let page = Report::new("A run").heat_map(affinity_map(&affinity)?).to_html()?;
/// assert!(page.contains(">25<"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn affinity_map(affinity: &Affinity) -> Result<HeatMap> {
    let tasks: Vec<&str> = affinity.tasks().collect();
    let values = affinity.rows().values().flat_map(|row| row.values().map(|z| 100.0 * z)).collect();
    let title = "Affinity: by how many percent a step for one task lowers the loss of another";
    Ok(HeatMap::new(title, &tasks, &tasks, values)?.axes("step for", "loss of"))
}
