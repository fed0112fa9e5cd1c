//! FixMatch, FlexMatch and FreeMatch: what a network is sure of on a weak view labels a strong view.
//!
//! With q = p(weak view), ŷ = argmax q, and a threshold τ(ŷ),
//!     CE(y, p) + λ(t) · E_U[ 1[q(ŷ) ≥ τ(ŷ)] · CE(ŷ, p(strong view)) ],
//! the mean being over all unlabeled samples of the batch, taken or not. The threshold is what the three differ in:
//! [`Fixed`](crate::selector::threshold::Fixed), [`Flexible`](crate::selector::threshold::Flexible), [`Free`](crate::selector::threshold::Free).
//! Guarantees: with τ > 1 the network trains as on the labels alone, to the last bit. Pseudo-labels get no gradient.
//! Cost: per unlabeled sample one forward pass, and one forward and backward pass of the strong view.
//! Variants: q is predicted in evaluation mode; labeled and strong inputs pass batch normalization as two batches.
//! FreeMatch is without its loss for even class frequencies.
//! Reference: Sohn et al., "FixMatch", NeurIPS 2020, <https://arxiv.org/abs/2001.07685>; Zhang et al., "FlexMatch",
//! NeurIPS 2021, <https://arxiv.org/abs/2110.08263>; Wang et al., "FreeMatch", ICLR 2023,
//! <https://arxiv.org/abs/2205.07246>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result, State, Stateful, Target};
use taskweave_loss::CriterionConfig;
use taskweave_loss::criterion::{Absolute, CrossEntropy};

use super::supervised::plain_terms;
use super::taught_batch::column;
use super::{Ramp, TaughtBatch, Teaching, ema, plain};
use crate::range;
use crate::selector::threshold::{Probabilities, Threshold, ThresholdConfig};
use crate::{Ensemble, Term};

/// What a network is sure of on a weak view labels a strong view.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | classes, per sample or per pixel | the task |
/// | `student` | – | | the network that learns |
/// | `mean` | none | a [frozen](taskweave_heads::Params::frozen) network of the same form | its running mean, to be evaluated |
/// | `criterion` | – | | the loss on labels |
/// | `weak`, `strong` | – | | by view, the inputs of either kind |
/// | `threshold` | fixed, τ = 0.95 | | what is sure |
/// | `lambda` | 1 | ≥ 0 | λ |
/// | `ramp` | none | | how λ grows |
/// | `decay` | 0.999 | [0, 1) | what the running mean keeps at a step |
///
/// Terms: `task@student`, `task.pseudo`, and `task@mean`, which learns nothing.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{FixMatchConfig, Teaching};
/// let text = r#"{"task": "class", "student": "net", "criterion": {"name": "cross_entropy"},
///     "weak": [["image", "weak"]], "strong": [["image", "strong"]], "threshold": {"name": "free"}}"#;
/// let config: FixMatchConfig = serde_json::from_str(text).unwrap();
/// let method = config.build();
/// assert_eq!(method.terms()?["class.pseudo"].reads["image"], "strong");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct FixMatch {
    config: FixMatchConfig,
    threshold: Box<dyn Threshold>,
}

/// The parameters of [`FixMatch`], which has their table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixMatchConfig {
    /// The task.
    pub task: String,
    /// The network that learns.
    pub student: String,
    /// Its running mean, to be evaluated.
    #[serde(default)]
    pub mean: Option<String>,
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// By view, the weak inputs.
    pub weak: Named<String>,
    /// By view, the strong inputs.
    pub strong: Named<String>,
    /// What is sure.
    #[serde(default)]
    pub threshold: ThresholdConfig,
    /// λ.
    #[serde(default = "one")]
    pub lambda: f64,
    /// How λ grows.
    #[serde(default)]
    pub ramp: Ramp,
    /// What the running mean keeps at a step.
    #[serde(default = "slow")]
    pub decay: f64,
}

impl FixMatchConfig {
    /// The method, at its beginning.
    pub fn build(self) -> FixMatch {
        FixMatch { threshold: self.threshold.build(), config: self }
    }

    fn pseudo(&self) -> String {
        format!("{}.pseudo", self.task)
    }
}

impl Teaching for FixMatch {
    fn terms(&self) -> Result<Named<Term>> {
        let config = &self.config;
        let members: Vec<String> = std::iter::once(&config.student).chain(&config.mean).cloned().collect();
        range::distinct(&members)?;
        range::not_negative("lambda of FixMatch", config.lambda)?;
        range::below_one("decay of FixMatch", config.decay)?;
        let mut terms = plain_terms(&config.task, &members, &config.criterion)?;
        let pseudo = CriterionConfig::CrossEntropy(CrossEntropy::default());
        let pseudo = CriterionConfig::Absolute(Absolute::new(pseudo));
        terms.insert(
            config.pseudo(),
            Term::of(&config.student, &config.task, pseudo).reading(&config.strong),
        )?;
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let config = &self.config;
        if let Some(mean) = &config.mean {
            taught.forget(&plain(&config.task, mean));
        }
        let logits = ensemble.predict(&config.student, &config.task, &config.weak, &taught.batch.inputs)?;
        let p = Probabilities::of_logits(&logits)?;
        let taken = self.threshold.select(taught.samples_of(&config.weak)?, &p)?;
        let lambda = config.lambda * config.ramp.at(taught.step);
        let weights: Vec<f64> = taken.iter().map(|taken| if *taken { lambda } else { 0.0 }).collect();
        let labels: Vec<u32> = p.best().iter().map(|(class, _)| *class).collect();
        let mut shape = logits.dims().to_vec();
        shape.remove(1);
        let labels = Tensor::from_vec(labels, &shape[..], logits.device())?;
        let weights = column(&weights, logits.device())?.reshape(shape)?;
        taught.set(&config.pseudo(), Target::weighted(labels, weights)?)
    }

    fn after_step(&mut self, done: u64, ensemble: &Ensemble) -> Result<()> {
        match &self.config.mean {
            Some(mean) => {
                ema::follow(ensemble.params(), [mean, &self.config.student], self.config.decay, done)
            }
            None => Ok(()),
        }
    }
}

impl Stateful for FixMatch {
    fn save(&self) -> Result<State> {
        self.threshold.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.threshold.restore(state)
    }
}

fn one() -> f64 {
    1.0
}

fn slow() -> f64 {
    0.999
}
