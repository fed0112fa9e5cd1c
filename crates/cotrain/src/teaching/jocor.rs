//! JoCoR: two networks that select together and are drawn together.
//!
//! Per sample
//!     ℓ = (1 − λ)·(CE(y, p₁) + CE(y, p₂)) + λ·(KL(p₁‖p₂) + KL(p₂‖p₁)),
//! and both networks learn from the R(t)·n samples of smallest ℓ, the mean of which is minimized.
//! A sample on which two networks agree with each other and with its label is likely clean.
//! Cost: one more forward pass of both networks per step.
//! Variants: the three parts are three terms of the objective, so that a balance method may weigh them; their sum is
//! the paper's loss.
//! Reference: Wei et al., "Combating Noisy Labels by Agreement: A Joint Training Method with Co-Regularization", CVPR
//! 2020, <https://arxiv.org/abs/2003.02752>.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::criterion::{Absolute, PairwiseKl, Teachers};
use taskweave_loss::{Criterion, CriterionConfig};

use super::supervised::plain_terms;
use super::taught_batch::scaled;
use super::{TaughtBatch, Teaching, plain};
use crate::range;
use crate::selector::{Selector, SmallLoss, smallest};
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Two networks that select together and are drawn together.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | | the task |
/// | `members` | – | two | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `small_loss` | – | see [`SmallLoss`] | how many samples are kept |
/// | `lambda` | – | [0, 1] | λ, the part of agreement; the paper takes 0.5 to 0.95 |
///
/// Terms: `task@member` for each network, `task.agree` between them.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{JoCoR, Teaching};
/// let text = r#"{"task": "class", "members": ["a", "b"], "criterion": {"name": "cross_entropy"},
///     "small_loss": {"forget": 0.2, "steps": 100}, "lambda": 0.9}"#;
/// let method: JoCoR = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?.names().collect::<Vec<_>>(), ["class@a", "class@b", "class.agree"]);
/// assert!(JoCoR { lambda: 1.5, ..method }.terms().is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoCoR {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: [String; 2],
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// How many samples are kept.
    pub small_loss: SmallLoss,
    /// The part of agreement.
    pub lambda: f64,
}

const AGREEMENT: PairwiseKl = PairwiseKl { teachers: Teachers::Trained };

impl Teaching for JoCoR {
    fn terms(&self) -> Result<Named<Term>> {
        range::distinct(&self.members)?;
        self.small_loss.check()?;
        range::fraction("lambda of JoCoR", self.lambda)?;
        let labels = CriterionConfig::Absolute(Absolute::new(self.criterion.clone()));
        let mut terms = plain_terms(&self.task, &self.members, &labels)?;
        let agreement = CriterionConfig::Absolute(Absolute::new(CriterionConfig::PairwiseKl(AGREEMENT)));
        terms.insert(self.agree(), Term::between(&self.members, &self.task, agreement))?;
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let names = self.members.each_ref().map(|member| plain(&self.task, member));
        let labeled = taught.labeled(&names[0])?;
        if labeled.is_empty() || !taught.batch.targets.contains(&names[1]) {
            return Ok(());
        }
        let places: Vec<usize> = labeled.iter().map(|(at, _)| *at).collect();
        let keep = self.small_loss.keep(taught.step, places.len());
        let chosen = smallest(&self.joint_losses(&names, taught, ensemble)?, &places, keep);
        // Weights are factors of a mean over the whole batch; this makes it one over the chosen samples.
        let n = taught.batch.targets.require("target of term", &names[0])?.len();
        let total: f64 = labeled.iter().filter(|(at, _)| chosen.contains(at)).map(|(_, weight)| weight).sum();
        let share = |at: usize| if chosen.contains(&at) { n as f64 / total } else { 0.0 };
        let shares: Vec<f64> = (0..n).map(share).collect();
        let with = |lambda: f64| shares.iter().map(|share| lambda * share).collect::<Vec<f64>>();
        for name in &names {
            let target =
                scaled(taught.batch.targets.require("target of term", name)?, &with(1.0 - self.lambda))?;
            taught.set(name, target)?;
        }
        let mut agreement = with(self.lambda);
        labeled.iter().for_each(|(at, weight)| agreement[*at] *= weight);
        let target = taught.bare(&agreement)?;
        taught.set(&self.agree(), target)
    }
}

impl JoCoR {
    fn agree(&self) -> String {
        format!("{}.agree", self.task)
    }

    fn joint_losses(
        &self,
        names: &[String; 2],
        taught: &TaughtBatch,
        ensemble: &Ensemble,
    ) -> Result<Vec<f64>> {
        let ((of_a, a), (of_b, b)) = (
            taught.judged(&names[0], &self.criterion, ensemble)?,
            taught.judged(&names[1], &self.criterion, ensemble)?,
        );
        let apart =
            AGREEMENT.losses(&Tensor::stack(&[of_a, of_b], 1)?, &taught.bare(&vec![1.0; a.len()])?)?;
        let apart = apart.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let joint = |((a, b), apart)| (1.0 - self.lambda) * (a + b) + self.lambda * apart;
        Ok(a.iter().zip(&b).zip(&apart).map(joint).collect())
    }
}

stateless!(JoCoR);
