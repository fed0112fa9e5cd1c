//! What listens to a session.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taskweave_kernels::Result;

use super::RoundRecord;
use crate::Control;

/// What listens to a session: a progress bar, a log, a rule of one's own for stopping.
///
/// # Example
/// Pause as soon as fewer than ten samples have no label.
/// ```
/// use taskweave_cotrain::Control;
/// use taskweave_cotrain::cotraining::{Listener, RoundRecord};
/// struct NearlyAll;
/// impl Listener for NearlyAll {
///     fn on_round(&mut self, record: &RoundRecord) -> taskweave_kernels::Result<Control> {
///         Ok(if record.unlabeled < 10 { Control::Stop } else { Control::Continue })
///     }
/// }
/// ```
pub trait Listener {
    /// Before the first round that is still to come, of `rounds` in all.
    ///
    /// # Errors
    /// Those of the listener; the session pauses with it.
    fn on_start(&mut self, _done: u64, _rounds: u64) -> Result<()> {
        Ok(())
    }

    /// After each round; [`Control::Stop`] pauses the session, which can go on later.
    ///
    /// # Errors
    /// Those of the listener; the session pauses with it.
    fn on_round(&mut self, _record: &RoundRecord) -> Result<Control> {
        Ok(Control::Continue)
    }

    /// After the last round.
    ///
    /// # Errors
    /// Those of the listener.
    fn on_end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {}

/// Draws a progress bar on standard error, if that is a terminal: rounds, labeled and unlabeled samples, time left.
///
/// # Example
/// ```
/// use taskweave_cotrain::cotraining::{Listener, RoundProgress};
/// let mut progress = RoundProgress::new("co-training, split 0");
/// progress.on_start(0, 30)?;
/// progress.on_end()?;
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct RoundProgress {
    bar: ProgressBar,
}

impl RoundProgress {
    /// A bar with a title.
    pub fn new(title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{prefix:24} {bar:24} {pos:>4}/{len} rounds  {msg}  {eta} left";
        // The template is a constant; the default style stands in for one that indicatif cannot read.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(title.to_string());
        Self { bar }
    }
}

impl Listener for RoundProgress {
    fn on_start(&mut self, done: u64, rounds: u64) -> Result<()> {
        self.bar.set_length(rounds);
        self.bar.set_position(done);
        self.bar.reset_eta();
        Ok(())
    }

    fn on_round(&mut self, record: &RoundRecord) -> Result<Control> {
        let known = record.labeled + record.pseudo;
        self.bar.set_message(format!("{known} labeled  {} unlabeled", record.unlabeled));
        self.bar.set_position(record.round);
        Ok(Control::Continue)
    }

    fn on_end(&mut self) -> Result<()> {
        self.bar.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rounds;
    use super::*;

    #[test]
    fn the_bar_stands_where_the_session_does() {
        let mut progress = RoundProgress::new("split 0");
        progress.on_start(3, 30).unwrap();
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(30)));
        let text = r#"{"rounds": [{"round": 7, "labeled": 12, "pseudo": 28, "unlabeled": 748, "precision": null,
            "agreement": [], "scores": [], "decision": null}], "returned_to": null}"#;
        let rounds: Rounds = serde_json::from_str(text).unwrap();
        progress.on_round(&rounds.rounds[0]).unwrap();
        assert_eq!(progress.bar.position(), 7);
        assert_eq!(progress.bar.message(), "40 labeled  748 unlabeled");
        assert!(!progress.bar.is_finished());
        progress.on_end().unwrap();
        assert!(progress.bar.is_finished());
    }
}
