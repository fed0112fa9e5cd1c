//! Noisy student: a network labels for the next one, which learns under noise and then labels in its turn.
//!
//! For `steps` steps each, network 1 learns the labels, network 2 learns them and the soft predictions of network
//! 1, network 3 those of network 2, and so on:
//!     CE(y, p_g) + λ · E_U[ 1[max q ≥ confidence] · CE(q, p_g(noisy view)) ],   q = p_{g−1}(plain view).
//! A student is as large as its teacher or larger, and its noise (strong views, dropout) makes it the better one.
//! Guarantees: a network learns in its own time only. With confidence > 1 every network learns from labels alone.
//! Cost: per unlabeled sample one forward pass of the teacher, and one forward and backward pass of the student.
//! Variants: pseudo-labels are made at every step, from the same plain view; the paper makes them once per generation
//! and balances their classes.
//! Reference: Xie et al., "Self-Training with Noisy Student Improves ImageNet Classification", CVPR 2020,
//! <https://arxiv.org/abs/1911.04252>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};
use taskweave_loss::CriterionConfig;
use taskweave_loss::criterion::{Absolute, SoftCrossEntropy};

use super::mean_teacher::soft_target;
use super::supervised::plain_terms;
use super::{TaughtBatch, Teaching, plain};
use crate::range;
use crate::selector::threshold::Probabilities;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// A network labels for the next one, which learns under noise and then labels in its turn.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | one class per sample | the task |
/// | `generations` | – | ≥ 2 | the networks, first teacher first |
/// | `criterion` | – | | the loss on labels |
/// | `plain` | – | | by view, the inputs of a teacher |
/// | `noisy` | – | | by view, the unlabeled inputs of a student |
/// | `steps` | – | ≥ 1 | steps of a generation; the last one goes on to the end |
/// | `confidence` | 0.3 | ≥ 0 | what a teacher's probability has to reach |
/// | `lambda` | 1 | ≥ 0 | λ |
///
/// Terms: `task@member` for each network, `task.taught@member` for all but the first.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{NoisyStudent, Teaching};
/// let text = r#"{"task": "class", "generations": ["small", "large"], "criterion": {"name": "cross_entropy"},
///     "plain": [["image", "weak"]], "noisy": [["image", "strong"]], "steps": 100}"#;
/// let method: NoisyStudent = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?.names().collect::<Vec<_>>(), ["class@small", "class@large", "class.taught@large"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoisyStudent {
    /// The task.
    pub task: String,
    /// The networks, first teacher first.
    pub generations: Vec<String>,
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// By view, the inputs of a teacher.
    pub plain: Named<String>,
    /// By view, the unlabeled inputs of a student.
    pub noisy: Named<String>,
    /// Steps of a generation.
    pub steps: u64,
    /// What a teacher's probability has to reach.
    #[serde(default = "usual")]
    pub confidence: f64,
    /// λ.
    #[serde(default = "one")]
    pub lambda: f64,
}

impl Teaching for NoisyStudent {
    fn terms(&self) -> Result<Named<Term>> {
        range::several(&self.generations)?;
        range::not_negative("confidence of a noisy student", self.confidence)?;
        range::not_negative("lambda of a noisy student", self.lambda)?;
        if self.steps == 0 {
            return Err(Error::parameter("steps of a generation", "at least 1", 0));
        }
        let mut terms = plain_terms(&self.task, &self.generations, &self.criterion)?;
        for student in self.generations.iter().skip(1) {
            let soft = Absolute::new(CriterionConfig::SoftCrossEntropy(SoftCrossEntropy));
            let term = Term::of(student, &self.task, CriterionConfig::Absolute(soft)).reading(&self.noisy);
            terms.insert(self.taught(student), term)?;
        }
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let last = self.generations.len().saturating_sub(1);
        let now = usize::try_from(taught.step / self.steps.max(1)).unwrap_or(last).min(last);
        for (_, other) in self.generations.iter().enumerate().filter(|(at, _)| *at != now) {
            taught.forget(&plain(&self.task, other));
        }
        let before = now.checked_sub(1).and_then(|before| self.generations.get(before));
        let (Some(teacher), Some(student)) = (before, self.generations.get(now)) else { return Ok(()) };
        let logits = ensemble.predict(teacher, &self.task, &self.plain, &taught.batch.inputs)?;
        let best = Probabilities::of_logits(&logits)?.best();
        let weight = |(_, p): &(u32, f64)| if *p >= self.confidence { self.lambda } else { 0.0 };
        let weights: Vec<f64> = best.iter().map(weight).collect();
        taught.set(&self.taught(student), soft_target(&logits, &weights)?)
    }
}

impl NoisyStudent {
    fn taught(&self, student: &str) -> String {
        format!("{}.taught@{student}", self.task)
    }
}

stateless!(NoisyStudent);

fn usual() -> f64 {
    0.3
}

fn one() -> f64 {
    1.0
}
