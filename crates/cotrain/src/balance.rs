//! What makes one gradient of several losses.
//!
//! | what a step balances | is built by | backward passes of the trunk, for K tasks |
//! | --- | --- | --- |
//! | the losses, by a scalarizer | [`Balance::losses`] | 1 |
//! | the tasks' gradients of the shared parameters | [`Balance::parameters`] | K |
//! | the tasks' gradients of the features at the seam | [`Balance::representation`] | 1 |
//! | the samples' gradients, one objective per sample | [`Balance::samples`] | 2, the first for their products |
//!
//! Whatever is balanced, the scalarizer comes first: the gradients are those of the losses as it weighs them, and the sum
//! leaves them as they are.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `config` | a balance as a value, for files |
//! | `convention` | scale, heads, lengths of gradients |
//! | `rows` | what a method asks of gradients, and what it makes of them |
//! | `saved` | saving and restoring |

mod config;
mod convention;
mod rows;
mod saved;

use serde_json::{Value, json};
use taskweave_kernels::{Error, Named, Param, Result};
use taskweave_loss::scalarizer::Sum;
use taskweave_loss::{Aggregator, Scalarized, Scalarizer, Weighting, scalarized};

use crate::Schedule;

pub use config::{BalanceConfig, GradientsConfig};
pub use convention::{Heads, Normalize, Scale};
use rows::Last;
pub(crate) use rows::{Balanced, Rows, times};

/// What makes one gradient of several losses, and the conventions that it does it by.
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `scalarizer` | sum | the losses of the tasks → one scalar, whose slopes weigh the losses |
/// | `scale` | sum | what the weights are multiplied by |
/// | `heads` | unit | whether a head learns with the weight of its task |
/// | `normalize` | none | at what length gradients are balanced |
/// | `refresh` | 1 | steps from one computation of the weights to the next, ≥ 1; in between they cost nothing |
///
/// A [`BalanceConfig`] is the same as a value, and what it builds is written into every checkpoint with all its parameters. Of a
/// method that is given as it is, only the conventions are.
///
/// # Example
/// ```
/// use taskweave_cotrain::{Balance, Heads, Scale};
/// use taskweave_loss::{aggregator::Weighted, weighting::UpGrad};
/// let balance = Balance::parameters(Box::new(Weighted::new(Box::new(UpGrad))))
///     .scale(Scale::TimesK)
///     .heads(Heads::Weighted);
/// assert_eq!(balance.record()["scale"], "times_k");
/// assert_eq!(balance.record()["gradients"]["of"], "parameters");
/// ```
pub struct Balance {
    scalarizer: Box<dyn Scalarizer>,
    gradients: Gradients,
    scale: Scale,
    heads: Heads,
    normalize: Normalize,
    refresh: u64,
    /// What the scalarizer and the method were built from, where that is known.
    named: [Value; 2],
    last: Option<Last>,
}

/// What is balanced beyond the losses.
pub(crate) enum Gradients {
    None,
    Parameters(Box<dyn Aggregator>),
    Representation(Box<dyn Aggregator>),
    Samples(Box<dyn Weighting>),
}

impl Gradients {
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Parameters(_) => Some("parameters"),
            Self::Representation(_) => Some("representation"),
            Self::Samples(_) => Some("samples"),
        }
    }
}

impl Default for Balance {
    /// The sum of the losses.
    fn default() -> Self {
        Self::losses(Box::new(Sum))
    }
}

impl Balance {
    /// The slope of one scalar of the losses.
    pub fn losses(scalarizer: Box<dyn Scalarizer>) -> Self {
        Self { scalarizer, ..Self::of(Gradients::None) }
    }

    /// One gradient of the tasks' gradients of the parameters that they share. Where the aggregator needs no more than
    /// their inner products ([`Aggregator::weighting`]), the gradients are not stored where the tape can do without.
    pub fn parameters(aggregator: Box<dyn Aggregator>) -> Self {
        Self::of(Gradients::Parameters(aggregator))
    }

    /// One gradient of the tasks' gradients of the features at the seam of the model, which then goes back through the
    /// trunk once.
    ///
    /// What is compared is the features that at least two tasks reach: for hard sharing the features, for a model that
    /// hands out several shared tensors all of them together. Features of one task alone get that task's gradient by its
    /// weight, or as it is where the aggregator has no weights; so do shared parameters that a head uses. The aggregator has
    /// the features at hand ([`Jacobian::features`](taskweave_loss::Jacobian::features)). A step refuses features of which
    /// no two tasks share any, and a trunk without shared parameters; a schedule that holds the trunk is refused when the
    /// step is built.
    pub fn representation(aggregator: Box<dyn Aggregator>) -> Self {
        Self::of(Gradients::Representation(aggregator))
    }

    /// One weight per sample, from the Gramian of the samples' gradients: each sample is an objective, its loss the sum of
    /// its tasks' losses, as the scalarizer weighs them, such that the mean over the samples is the value of the step.
    /// With [`Heads::Weighted`] all parameters are balanced, else the shared ones.
    ///
    /// It needs layers that keep samples apart, and one batch per step.
    pub fn samples(weighting: Box<dyn Weighting>) -> Self {
        Self::of(Gradients::Samples(weighting))
    }

    fn of(gradients: Gradients) -> Self {
        let named = [Value::Null, gradients.name().map_or(Value::Null, |name| json!({ "of": name }))];
        let (scale, heads, normalize) = (Scale::default(), Heads::default(), Normalize::default());
        Self { scalarizer: Box::new(Sum), gradients, scale, heads, normalize, refresh: 1, named, last: None }
    }

    /// The losses of the tasks → one scalar, whose slopes weigh the losses.
    pub fn scalarizer(mut self, scalarizer: Box<dyn Scalarizer>) -> Self {
        (self.scalarizer, self.named[0]) = (scalarizer, Value::Null);
        self
    }

    /// What the weights are multiplied by.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Whether a head learns with the weight of its task.
    pub fn heads(mut self, heads: Heads) -> Self {
        self.heads = heads;
        self
    }

    /// At what length gradients are balanced.
    pub fn normalize(mut self, normalize: Normalize) -> Self {
        self.normalize = normalize;
        self
    }

    /// Steps from one computation of the weights to the next. In between a step costs one backward pass, as for a
    /// scalarizer; other tasks than before are weighed anew.
    pub fn refresh(mut self, steps: u64) -> Self {
        self.refresh = steps;
        self
    }

    /// What is written into every checkpoint, and has to be equal where it is restored.
    pub fn record(&self) -> Value {
        let [losses, gradients] = &self.named;
        json!({
            "losses": losses, "gradients": gradients, "scale": self.scale, "heads": self.heads,
            "normalize": self.normalize, "refresh": self.refresh,
        })
    }

    /// Takes the mean losses of an epoch, for methods that adapt to the progress of an epoch.
    pub(crate) fn end_epoch(&mut self, mean_losses: &Named<f64>) -> Result<()> {
        self.scalarizer.end_epoch(mean_losses)
    }

    /// Sets the preference of the method that balances gradients, where there is one, else of the scalarizer.
    pub(crate) fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        self.last = None;
        match &mut self.gradients {
            Gradients::None => self.scalarizer.prefer(preference),
            Gradients::Parameters(method) | Gradients::Representation(method) => method.prefer(preference),
            Gradients::Samples(method) => method.prefer(preference),
        }
    }

    /// Names all tasks to what balances gradients: a batch may lack some.
    pub(crate) fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        match &mut self.gradients {
            Gradients::Parameters(method) | Gradients::Representation(method) => method.prepare(tasks),
            // Its rows are those of samples.
            Gradients::Samples(_) | Gradients::None => Ok(()),
        }
    }

    /// What hears the losses after a step, and has parameters of its own.
    pub(crate) fn scalarizer_mut(&mut self) -> &mut dyn Scalarizer {
        &mut *self.scalarizer
    }

    /// The scalarizer's own parameters.
    pub(crate) fn objective(&self) -> Named<Param> {
        self.scalarizer.params()
    }

    pub(crate) fn gradients(&self) -> &Gradients {
        &self.gradients
    }

    pub(crate) fn weighs_heads(&self) -> bool {
        self.heads == Heads::Weighted
    }

    /// The scalar of the losses; where no gradients are balanced, it has the scale.
    pub(crate) fn scalarized(&mut self, losses: &Named<candle_core::Tensor>) -> Result<Scalarized> {
        let found = scalarized(&mut *self.scalarizer, losses)?;
        let factor = self.scale.factor(losses.len());
        if factor == 1.0 || !matches!(self.gradients, Gradients::None) {
            return Ok(found);
        }
        let weights = found.weights.map(|_, weight| factor * weight);
        Ok(Scalarized { value: found.value.affine(factor, 0.0)?, weights })
    }

    /// # Errors
    /// [`Error::Parameter`] for conventions that nothing here could keep.
    pub(crate) fn check(&mut self, schedule: &Schedule) -> Result<()> {
        let refuse = |name: &str, expected: &str, found: &str| Err(Error::parameter(name, expected, found));
        if self.refresh == 0 {
            return refuse("refresh of the balance", "at least 1", "0");
        }
        if self.refresh > 1 && !self.has_weights() {
            return refuse("refresh of the balance", "1 where no weights come from tasks' gradients", "more");
        }
        match &self.gradients {
            Gradients::None if self.heads == Heads::Weighted => {
                refuse("heads", "unit where no gradients are balanced", "weighted")
            }
            Gradients::None if self.normalize != Normalize::None => {
                refuse("normalize", "none where no gradients are balanced", "another")
            }
            Gradients::Representation(_) if *schedule != Schedule::Joint => {
                refuse("schedule", "joint where representation gradients are balanced", "alternating")
            }
            Gradients::Parameters(method) | Gradients::Representation(method)
                if self.heads == Heads::Weighted && !method.weighs() =>
            {
                refuse("heads", "unit where the aggregator has no weights", "weighted")
            }
            Gradients::Representation(method) if method.remembers_coordinates() => {
                let expected = "without memory of coordinates where representation gradients are balanced";
                refuse("method", expected, "one with it")
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::Parameter`] for what cannot be told from the sum over several batches.
    pub(crate) fn require_several(&mut self) -> Result<()> {
        let one = match &mut self.gradients {
            Gradients::Samples(_) => Some("samples are balanced"),
            Gradients::Representation(method) => match method.weighting() {
                None => Some("an aggregator looks at the features' gradients themselves"),
                Some(_) => None,
            },
            _ => None,
        };
        match one {
            Some(why) => Err(Error::parameter("batches of a step", format!("one, where {why}"), "several")),
            None => Ok(()),
        }
    }

    /// Whether there are weights of tasks that could be used again.
    fn has_weights(&mut self) -> bool {
        match &mut self.gradients {
            Gradients::None | Gradients::Samples(_) => false,
            Gradients::Parameters(method) | Gradients::Representation(method) => method.weighting().is_some(),
        }
    }
}
