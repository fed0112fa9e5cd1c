//! The parts of a trainer.

use taskweave_data::{Last, Loader};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::Metric;

use super::{Callback, EarlyStopping, Monitor};
use crate::Checkpoints;
use crate::gate::EpochGate;
use crate::protocol::{Plain, Protocol};
use crate::rate::{Constant, Rate};
use crate::teaching::Teachings;

/// A loop over the batches of a loader, epoch after epoch.
///
/// With checkpoints it resumes where it was: a training that was stopped or killed and is started again with the
/// same parts ends with the same parameters, bit for bit, as one that was not.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use candle_core::{DType, Device};
/// use taskweave_cotrain::{Step, Trainer};
/// use taskweave_data::{Loader, Order, SelectTasks, Shapes, ShapesConfig};
/// use taskweave_heads::{CnnConfig, HeadConfig, NetworkConfig, Params};
/// use taskweave_kernels::{Named, Rng};
/// use taskweave_loss::criterion::CrossEntropy;
///
/// let rng = Rng::new(0);
/// let config = NetworkConfig {
///     view: "image".into(),
///     backbone: CnnConfig::new(3, &[4, 8]),
///     heads: Named::new([("class", HeadConfig::Classification { classes: 10 })])?,
/// };
/// let params = Params::new(&rng, DType::F32, &Device::Cpu);
/// let mut step = Step::builder(config.build(&params)?, params)
///     .criterion("class", CrossEntropy::default())
///     .rng(&rng)
///     .build()?;
/// let shapes = Shapes::new(ShapesConfig { len: 20, ..ShapesConfig::default() })?;
/// let shapes = Arc::new(SelectTasks::new(shapes, &["class"])?);
/// let loader = Loader::builder(shapes).batch_size(10).order(Order::Shuffled).rng(rng.fork("train")).build()?;
/// let history = Trainer::builder(loader).epochs(2).build()?.fit(&mut step)?;
/// assert_eq!(history.epochs.len(), 2);
/// assert_eq!(step.done(), 4);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Trainer {
    pub(super) train: Loader,
    pub(super) valid: Option<Loader>,
    pub(super) upper: Option<Loader>,
    pub(super) metrics: Named<Box<dyn Metric>>,
    pub(super) epochs: u64,
    pub(super) protocol: Box<dyn Protocol>,
    pub(super) rate: Box<dyn Rate>,
    pub(super) unit: Unit,
    pub(super) monitor: Monitor,
    pub(super) early_stopping: Option<EarlyStopping>,
    pub(super) gate: Option<EpochGate>,
    pub(super) cosines: Cosines,
    pub(super) teachings: Option<Teachings>,
    pub(super) callbacks: Vec<Box<dyn Callback>>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) checkpoint_every: Option<u64>,
}

/// What the time of a learning-rate schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Epochs.
    Epoch,
    /// Optimizer steps.
    Step,
}

/// Whether the cosines between the tasks' gradients are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cosines {
    /// They are not.
    Off,
    /// Once per epoch, on its first batch, for the shared parameters.
    PerEpoch,
}

/// The parts of a [`Trainer`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `epochs` | 1 | ≥ 1 | passes over the training samples |
/// | `valid` | none | | loader and metrics for validation after each epoch |
/// | `rate` | constant, per epoch | | the learning rate over time; the base is the optimizer's |
/// | `protocol` | plain | | what is done with which batches in one step |
/// | `accumulate` | 1 | ≥ 1 | batches that make one plain step |
/// | `upper` | none | | loader of the samples that a protocol with two levels judges task weights by |
/// | `monitor` | validation loss | | what early stopping and a plateau schedule look at; the training loss without validation |
/// | `early_stopping` | none | | when to stop |
/// | `gate` | none | not with early stopping | which epochs of a training of networks are kept |
/// | `cosines` | off | | whether gradient cosines are recorded |
/// | `teachings` | none | not with `cosines` | the methods that teach an ensemble, and unlabeled samples |
/// | `callback` | none | | what listens |
/// | `checkpoints` | none | | where to save after each epoch, and to resume from |
/// | `checkpoint_every` | none | ≥ 1 | save after so many steps as well |
#[must_use]
pub struct TrainerBuilder {
    trainer: Trainer,
}

impl Trainer {
    /// A trainer on the batches of `train`.
    pub fn builder(train: Loader) -> TrainerBuilder {
        let trainer = Self {
            train,
            valid: None,
            upper: None,
            metrics: Named::default(),
            epochs: 1,
            protocol: Box::new(Plain::default()),
            rate: Box::new(Constant {}),
            unit: Unit::Epoch,
            monitor: Monitor::Loss,
            early_stopping: None,
            gate: None,
            cosines: Cosines::Off,
            teachings: None,
            callbacks: Vec::new(),
            checkpoints: None,
            checkpoint_every: None,
        };
        TrainerBuilder { trainer }
    }
}

impl TrainerBuilder {
    /// Passes over the training samples.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.trainer.epochs = epochs;
        self
    }

    /// Validates after each epoch by these metrics.
    pub fn valid(mut self, loader: Loader, metrics: Named<Box<dyn Metric>>) -> Self {
        (self.trainer.valid, self.trainer.metrics) = (Some(loader), metrics);
        self
    }

    /// The learning rate over time.
    pub fn rate(mut self, rate: Box<dyn Rate>, unit: Unit) -> Self {
        (self.trainer.rate, self.trainer.unit) = (rate, unit);
        self
    }

    /// What is done with which batches in one step. A training resumes with the protocol that it began with.
    pub fn protocol(mut self, protocol: Box<dyn Protocol>) -> Self {
        self.trainer.protocol = protocol;
        self
    }

    /// The same as the protocol [`Plain`] over so many batches.
    pub fn accumulate(self, batches: usize) -> Self {
        self.protocol(Box::new(Plain { batches }))
    }

    /// The samples that a protocol with two levels judges task weights by. Its batches are taken in order, epoch after
    /// epoch; how many epochs the training makes of them does not matter. They should not be samples that the network
    /// learns from, nor those of [`valid`](Self::valid), whose scores would no longer be of unseen samples.
    pub fn upper(mut self, loader: Loader) -> Self {
        self.trainer.upper = Some(loader);
        self
    }

    /// What early stopping and a plateau schedule look at.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.trainer.monitor = monitor;
        self
    }

    /// When to stop.
    pub fn early_stopping(mut self, rule: EarlyStopping) -> Self {
        self.trainer.early_stopping = Some(rule);
        self
    }

    /// Which epochs of a training of networks are kept: it ends with the last one of them.
    pub fn gate(mut self, gate: EpochGate) -> Self {
        self.trainer.gate = Some(gate);
        self
    }

    /// Whether gradient cosines are recorded.
    pub fn cosines(mut self, cosines: Cosines) -> Self {
        self.trainer.cosines = cosines;
        self
    }

    /// The methods that teach an ensemble, and unlabeled samples beside those of the training's loader.
    pub fn teachings(mut self, teachings: Teachings) -> Self {
        self.trainer.teachings = Some(teachings);
        self
    }

    /// What listens.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.trainer.callbacks.push(Box::new(callback));
        self
    }

    /// Where to save after each epoch, and to resume from.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.trainer.checkpoints = Some(checkpoints);
        self
    }

    /// Saves after so many steps as well.
    pub fn checkpoint_every(mut self, steps: u64) -> Self {
        self.trainer.checkpoint_every = Some(steps);
        self
    }

    /// The trainer.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range, early stopping without validation or beside a gate, a protocol that wants more batches
    /// than an epoch has, samples of an upper level that are missing or that the protocol has no use for, or cosines
    /// with teachings, which would have to be prepared twice.
    pub fn build(self) -> Result<Trainer> {
        let Trainer { epochs, protocol, checkpoint_every, early_stopping, valid, .. } = &self.trainer;
        let counts = [
            ("epochs", *epochs),
            ("training batches of a step", protocol.needs().train as u64),
            ("checkpoint_every", checkpoint_every.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::parameter(*name, "at least 1", 0));
        }
        if self.trainer.teachings.is_some() && self.trainer.cosines != Cosines::Off {
            return Err(Error::parameter(
                "cosines",
                "off with teachings",
                format!("{:?}", self.trainer.cosines),
            ));
        }
        if let Some(rule) = early_stopping {
            rule.check()?;
            if valid.is_none() {
                return Err(Error::parameter("early stopping", "validation samples", "none"));
            }
            if self.trainer.gate.is_some() {
                return Err(Error::parameter("early stopping", "none beside a gate", "some"));
            }
        }
        self.check_batches()?;
        Ok(self.trainer)
    }

    fn check_batches(&self) -> Result<()> {
        let Trainer { protocol, train, upper, .. } = &self.trainer;
        let needs = protocol.needs();
        if needs.last == Last::Drop && train.batches() < needs.train {
            let expected = format!("at least {}, as the protocol takes", needs.train);
            return Err(Error::parameter("training batches of an epoch", expected, train.batches()));
        }
        match (needs.upper, upper) {
            (0, Some(_)) => {
                Err(Error::parameter("samples of the upper level", "none for this protocol", "some"))
            }
            (1.., None) => {
                Err(Error::parameter("samples of the upper level", "some for this protocol", "none"))
            }
            _ => Ok(()),
        }
    }
}
