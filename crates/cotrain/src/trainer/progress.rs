//! A progress bar.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taskweave_kernels::{Named, Result};

use super::{Callback, Control, EpochRecord};
use crate::StepReport;

/// Draws a progress bar on standard error, if that is a terminal: loss per task, samples per second, time left.
/// It is the one part of the library that writes to the screen, and only where it is asked for.
///
/// # Example
/// ```
/// use taskweave_cotrain::{Callback, Progress};
/// let mut progress = Progress::new("joint, seed 0");
/// progress.on_start(0, 100)?;
/// progress.on_end()?;
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Progress {
    bar: ProgressBar,
    losses: Named<f64>,
    samples: usize,
    since: Instant,
}

/// How much of a new loss is mixed into the one that is shown.
const MIX: f64 = 0.1;

impl Progress {
    /// A bar with a title.
    pub fn new(title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{prefix:24} {bar:24} {pos:>5}/{len} steps  {msg}  {eta} left";
        // The template is a constant; the default style stands in for one that indicatif cannot read.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(title.to_string());
        Self { bar, losses: Named::default(), samples: 0, since: Instant::now() }
    }
}

impl Callback for Progress {
    fn on_start(&mut self, done: u64, steps: u64) -> Result<()> {
        self.bar.set_length(done.saturating_add(steps));
        self.bar.set_position(done);
        self.bar.reset_eta();
        self.since = Instant::now();
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        self.samples += report.samples;
        for (task, loss) in report.losses.iter() {
            match self.losses.get_mut(task) {
                Some(shown) => *shown += MIX * (loss - *shown),
                None => self.losses.insert(task, *loss)?,
            }
        }
        let losses: Vec<_> = self.losses.iter().map(|(task, loss)| format!("{task} {loss:.3}")).collect();
        let speed = self.samples as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_message(format!("{}  {speed:.0} samples/s", losses.join("  ")));
        self.bar.inc(1);
        Ok(())
    }

    fn on_epoch(&mut self, _: &EpochRecord) -> Result<Control> {
        Ok(Control::Continue)
    }

    fn on_end(&mut self) -> Result<()> {
        self.bar.finish();
        Ok(())
    }
}
