//! A front from a list of preferences.

use candle_core::Tensor;
use taskweave_data::Loader;
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::Metric;

use super::preference::normalized;
use super::{Front, Preference, TradeOff};
use crate::{Step, Training};

/// Where the training of a preference starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At its own initial parameters.
    #[default]
    Fresh,
    /// At the parameters that the preference before it has led to; optimizers start anew.
    Warm,
}

/// Trains once per preference, or reads a conditioned network at each, and returns the trade-offs.
///
/// # Example
/// ```
/// use taskweave_cotrain::pareto::{Start, Tracer};
/// let tracer = Tracer::evenly(&["class", "mask"], 4, 0.1)?.start(Start::Warm);
/// let first: Vec<f64> = tracer.preferences().iter().map(|r| r["class"]).collect();
/// assert!(first.iter().zip([0.1, 0.3, 0.5, 0.7, 0.9]).all(|(found, r)| (found - r).abs() < 1e-12));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tracer {
    preferences: Vec<Named<f64>>,
    start: Start,
}

impl Tracer {
    /// These preferences, in this order; each is divided by its sum.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no preference, one with numbers that are not finite and ≥ 0 or all 0, or two of different
    /// tasks.
    pub fn new(preferences: Vec<Named<f64>>) -> Result<Self> {
        let Some(first) = preferences.first() else {
            return Err(Error::parameter("preferences", "at least one", 0));
        };
        if let Some(other) = preferences.iter().find(|other| !other.names().eq(first.names())) {
            let names = |r: &Named<f64>| format!("{:?}", r.names().collect::<Vec<_>>());
            return Err(Error::parameter("tasks of a preference", names(first), names(other)));
        }
        let preferences = preferences.iter().map(normalized).collect::<Result<_>>()?;
        Ok(Self { preferences, start: Start::Fresh })
    }

    /// Preferences that are spread evenly with so many divisions, every entry at least `least`; neighbors in the list are
    /// neighbors, as a warm start needs it, for two tasks.
    ///
    /// # Errors
    /// Those of [`simplex_lattice`](taskweave_loss::pareto::simplex_lattice), and [`Error::Name`] for a task that comes twice.
    pub fn evenly(tasks: &[&str], divisions: usize, least: f64) -> Result<Self> {
        let lattice = taskweave_loss::pareto::simplex_lattice(tasks.len(), divisions, least)?;
        let named = |r: Vec<f64>| Named::new(tasks.iter().copied().zip(r));
        Self::new(lattice.into_iter().map(named).collect::<Result<_>>()?)
    }

    /// Where the training of a preference starts.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// The preferences in order.
    pub fn preferences(&self) -> &[Named<f64>] {
        &self.preferences
    }

    /// One training per preference, each given by its place in the list: built by `training`, told its preference by
    /// [`Step::prefer`], trained, and judged by the losses of its test samples. Trainings with checkpoints resume, so that a
    /// trace that was stopped goes on where it was.
    ///
    /// # Errors
    /// Those of `training`, of [`Step::prefer`], and of training and evaluating.
    pub fn trace(&self, mut training: impl FnMut(usize) -> Result<Training>) -> Result<Front> {
        let (mut trade_offs, mut before): (Vec<TradeOff>, Option<Named<Tensor>>) = (Vec::new(), None);
        for (i, preference) in self.preferences.iter().enumerate() {
            let mut training = training(i)?;
            training.step.prefer(preference)?;
            if let (Start::Warm, Some(model)) = (self.start, &before) {
                training.step.params().load(model)?;
            }
            let scores = training.run(&format!("preference {i}"), 0)?.scores;
            let model = training.step.params().tensors().try_map(|_, t| Ok::<_, Error>(t.copy()?))?;
            before = Some(model.clone());
            trade_offs.push(TradeOff {
                preference: preference.clone(),
                losses: scores.map(|_, score| score.loss),
                model,
            });
        }
        Front::new(trade_offs)
    }

    /// Reads one network that sees the preference at every preference of the list: the losses of the test samples, without
    /// training. The preference is left as it was found.
    ///
    /// # Errors
    /// Those of [`Preference::set`] and [`Step::evaluate`].
    pub fn read(
        &self,
        step: &Step,
        preference: &Preference,
        (test, metrics): (&Loader, &mut Named<Box<dyn Metric>>),
    ) -> Result<Front> {
        let found = preference.now();
        let mut read = |r: &Named<f64>| {
            preference.set(r)?;
            let losses = step.evaluate(test, metrics)?.map(|_, score| score.loss);
            Ok(TradeOff { preference: r.clone(), losses, model: Named::default() })
        };
        let trade_offs = self.preferences.iter().map(&mut read).collect::<Result<Vec<_>>>();
        preference.set(&found)?;
        Front::new(trade_offs?)
    }
}
