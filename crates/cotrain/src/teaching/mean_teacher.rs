//! Mean teacher: a network agrees with the running mean of itself under other noise.
//!
//! Minimized is
//!     CE(y, p) + λ(t) · E_U[ (1/C)·Σ_c (p_c(x') − sg p̄_c(x''))² ],   θ̄ ← α·θ̄ + (1 − α)·θ after each step,
//! x' and x'' being two noisy views of one sample, p̄ the prediction of the mean θ̄.
//! Guarantees: with α = 0 the teacher equals the student after every step; with λ = 0 the student trains as alone.
//! Cost: one more forward and backward pass of the student on the unlabeled samples and one forward pass of the teacher.
//! Variants: α_t = min(α, 1 − 1/t) at step t, so that the mean forgets its start; the teacher predicts in evaluation
//! mode with running statistics copied from the student; its noise is that of its view.
//! Reference: Tarvainen and Valpola, "Mean Teachers Are Better Role Models", NeurIPS 2017,
//! <https://arxiv.org/abs/1703.01780>.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result, Target};
use taskweave_loss::CriterionConfig;
use taskweave_loss::criterion::{Absolute, ProbabilityMse};

use super::supervised::plain_terms;
use super::taught_batch::column;
use super::{Ramp, TaughtBatch, Teaching, ema, plain};
use crate::range;
use crate::selector::threshold::Probabilities;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// A network agrees with the running mean of itself under other noise.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | one class per sample | the task |
/// | `student` | – | | the network that learns |
/// | `teacher` | – | a [frozen](taskweave_heads::Params::frozen) network of the same form | its mean |
/// | `criterion` | – | | the loss on labels |
/// | `reads` | – | | by view, the inputs of the student |
/// | `teacher_reads` | – | | by view, the inputs of the teacher |
/// | `lambda` | 100 | ≥ 0 | λ |
/// | `ramp` | none | | how λ grows |
/// | `decay` | 0.999 | [0, 1) | α |
///
/// Terms: `task@student`, `task.consistent`, and `task@teacher`, which is there to be evaluated and learns nothing.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{MeanTeacher, Teaching};
/// let text = r#"{"task": "class", "student": "student", "teacher": "mean", "criterion": {"name": "cross_entropy"},
///     "reads": [["image", "one"]], "teacher_reads": [["image", "other"]]}"#;
/// let method: MeanTeacher = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?.names().collect::<Vec<_>>(), ["class@student", "class@mean", "class.consistent"]);
/// assert!(MeanTeacher { decay: 1.0, ..method }.terms().is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanTeacher {
    /// The task.
    pub task: String,
    /// The network that learns.
    pub student: String,
    /// Its mean.
    pub teacher: String,
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// By view, the inputs of the student.
    pub reads: Named<String>,
    /// By view, the inputs of the teacher.
    pub teacher_reads: Named<String>,
    /// λ.
    #[serde(default = "hundred")]
    pub lambda: f64,
    /// How λ grows.
    #[serde(default)]
    pub ramp: Ramp,
    /// α.
    #[serde(default = "slow")]
    pub decay: f64,
}

impl Teaching for MeanTeacher {
    fn terms(&self) -> Result<Named<Term>> {
        let members = [self.student.clone(), self.teacher.clone()];
        range::distinct(&members)?;
        range::not_negative("lambda of the mean teacher", self.lambda)?;
        range::below_one("decay of the mean teacher", self.decay)?;
        let mut terms = plain_terms(&self.task, &members, &self.criterion)?;
        let agree = CriterionConfig::Absolute(Absolute::new(CriterionConfig::ProbabilityMse(ProbabilityMse)));
        terms.insert(self.consistent(), Term::of(&self.student, &self.task, agree).reading(&self.reads))?;
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        taught.forget(&plain(&self.task, &self.teacher));
        if taught.step == 0 {
            self.after_step(0, ensemble)?;
        }
        let logits =
            ensemble.predict(&self.teacher, &self.task, &self.teacher_reads, &taught.batch.inputs)?;
        let weights = vec![self.lambda * self.ramp.at(taught.step); logits.dim(0)?];
        taught.set(&self.consistent(), soft_target(&logits, &weights)?)
    }

    fn after_step(&mut self, done: u64, ensemble: &Ensemble) -> Result<()> {
        ema::follow(ensemble.params(), [&self.teacher, &self.student], self.decay, done)
    }
}

impl MeanTeacher {
    fn consistent(&self) -> String {
        format!("{}.consistent", self.task)
    }
}

stateless!(MeanTeacher);

/// The distributions of logits `[batch, classes]` as a target.
pub(super) fn soft_target(logits: &Tensor, weights: &[f64]) -> Result<Target> {
    let (batch, classes) = logits.dims2()?;
    let rows: Vec<f64> = Probabilities::of_logits(logits)?.rows().flatten().copied().collect();
    let rows = Tensor::from_vec(rows, (batch, classes), &Device::Cpu)?.to_dtype(logits.dtype())?;
    let rows = rows.to_device(logits.device())?;
    Target::weighted(rows, column(weights, logits.device())?)
}

fn hundred() -> f64 {
    100.0
}

fn slow() -> f64 {
    0.999
}
