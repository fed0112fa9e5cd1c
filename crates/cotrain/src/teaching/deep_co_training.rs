//! Deep co-training: two networks agree on unlabeled samples and stay different by each other's adversarial examples.
//!
//! Minimized is
//!     CE(y, p₁) + CE(y, p₂) + λ_cot(t) · E_U[H(½(p₁ + p₂)) − ½(H(p₁) + H(p₂))]
//!       + λ_dif(t) · E_U[CE(p₁(x), p₂(g₁(x))) + CE(p₂(x), p₁(g₂(x)))],
//! gᵢ(x) being the sample made adversarial for network i by [`fgsm`]. Without the second part two networks
//! on one view would collapse into each other; an example that fools one and not the other keeps them two views.
//! Guarantees: with both λ = 0 the networks train as each would alone.
//! Cost: per unlabeled sample and network one pass forward and back to the input, and two passes forward and back.
//! Variants: the class that an example is made adversarial for is the network's own, argmax pᵢ(x); the distribution
//! pᵢ(x) that the other network has to keep is a constant; the difference is asked for on unlabeled inputs (put the
//! labeled samples among them to have it on all).
//! Reference: Qiao et al., "Deep Co-Training for Semi-Supervised Image Recognition", ECCV 2018,
//! <https://arxiv.org/abs/1803.05984>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};
use taskweave_loss::criterion::{Absolute, CrossEntropy, JensenShannon, SoftCrossEntropy};
use taskweave_loss::{Criterion, CriterionConfig};

use super::mean_teacher::soft_target;
use super::supervised::plain_terms;
use super::{Ramp, TaughtBatch, Teaching, fgsm};
use crate::range;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Two networks agree on unlabeled samples and stay different by each other's adversarial examples.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | one class per sample | the task |
/// | `members` | – | two | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `view` | – | floating point | the view of the networks that is made adversarial |
/// | `input` | – | | the unlabeled input that they see as this view |
/// | `lambda_cot` | 10 | ≥ 0 | weight of the agreement |
/// | `lambda_dif` | 0.5 | ≥ 0 | weight of the difference |
/// | `epsilon` | 0.02 | > 0 | how far a value is moved |
/// | `ramp` | none | | how both weights grow; the paper takes a Gaussian over 80 epochs |
///
/// Terms: `task@member` for each network, `task.agree` between them, `task.differ@member` for each.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{DeepCoTraining, Teaching};
/// let text = r#"{"task": "class", "members": ["a", "b"], "criterion": {"name": "cross_entropy"},
///     "view": "image", "input": "unlabeled"}"#;
/// let method: DeepCoTraining = serde_json::from_str(text).unwrap();
/// let terms = method.terms()?;
/// assert_eq!(terms["class.differ@a"].reads["image"], "unlabeled, adversarial for b");
/// assert_eq!((method.lambda_cot, method.lambda_dif), (10.0, 0.5));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepCoTraining {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: [String; 2],
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// The view of the networks that is made adversarial.
    pub view: String,
    /// The unlabeled input that they see as this view.
    pub input: String,
    /// Weight of the agreement.
    #[serde(default = "cot")]
    pub lambda_cot: f64,
    /// Weight of the difference.
    #[serde(default = "dif")]
    pub lambda_dif: f64,
    /// How far a value is moved.
    #[serde(default = "far")]
    pub epsilon: f64,
    /// How both weights grow.
    #[serde(default)]
    pub ramp: Ramp,
}

impl Teaching for DeepCoTraining {
    fn terms(&self) -> Result<Named<Term>> {
        range::distinct(&self.members)?;
        range::not_negative("lambda_cot", self.lambda_cot)?;
        range::not_negative("lambda_dif", self.lambda_dif)?;
        range::positive("epsilon", self.epsilon)?;
        let absolute = |of: CriterionConfig| CriterionConfig::Absolute(Absolute::new(of));
        let mut terms = plain_terms(&self.task, &self.members, &self.criterion)?;
        let agree = absolute(CriterionConfig::JensenShannon(JensenShannon));
        let agree = Term::between(&self.members, &self.task, agree).reading(&self.sees(&self.input)?);
        terms.insert(format!("{}.agree", self.task), agree)?;
        for (member, other) in self.pairs() {
            let differ = absolute(CriterionConfig::SoftCrossEntropy(SoftCrossEntropy));
            let differ = Term::of(member, &self.task, differ).reading(&self.sees(&self.adversarial(other))?);
            terms.insert(self.differ(member), differ)?;
        }
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let factor = self.ramp.at(taught.step);
        let agree = format!("{}.agree", self.task);
        taught.set_weight(&agree, &self.sees(&self.input)?, self.lambda_cot * factor)?;
        if self.lambda_dif * factor == 0.0 {
            return Ok(());
        }
        for (member, other) in self.pairs() {
            let (example, logits) = self.attack(other, taught, ensemble)?;
            let name = self.adversarial(other);
            taught.batch.inputs.remove(&name);
            taught.batch.inputs.insert(name, example)?;
            let weights = vec![self.lambda_dif * factor; logits.dim(0)?];
            taught.set(&self.differ(member), soft_target(&logits, &weights)?)?;
        }
        Ok(())
    }
}

impl DeepCoTraining {
    /// The unlabeled input made adversarial for a network, and what the network says about the input itself.
    fn attack(&self, member: &str, taught: &TaughtBatch, ensemble: &Ensemble) -> Result<(Tensor, Tensor)> {
        let inputs = &taught.batch.inputs;
        let x = inputs.require("input", &self.input)?;
        let reads = self.sees(&self.input)?;
        let mut said = None;
        let example = fgsm(x, self.epsilon, |x| {
            let mut seen = inputs.clone();
            seen.remove(&self.input);
            seen.insert(&*self.input, x.clone())?;
            let logits = ensemble.respond(member, &self.task, &reads, &seen)?;
            let own = Target::new(logits.detach().argmax(1)?)?;
            let loss = CrossEntropy::default().losses(&logits, &own)?.sum_all()?;
            said = Some(logits.detach());
            Ok(loss)
        })?;
        let logits =
            said.ok_or_else(|| Error::parameter("loss of an adversarial example", "a prediction", "none"))?;
        Ok((example, logits))
    }

    /// Each network with the other one.
    fn pairs(&self) -> [(&str, &str); 2] {
        let [a, b] = &self.members;
        [(a, b), (b, a)]
    }

    fn sees(&self, input: &str) -> Result<Named<String>> {
        Named::new([(self.view.clone(), input.to_string())])
    }

    fn adversarial(&self, member: &str) -> String {
        format!("{}, adversarial for {member}", self.input)
    }

    fn differ(&self, member: &str) -> String {
        format!("{}.differ@{member}", self.task)
    }
}

stateless!(DeepCoTraining);

fn cot() -> f64 {
    10.0
}

fn dif() -> f64 {
    0.5
}

fn far() -> f64 {
    0.02
}
