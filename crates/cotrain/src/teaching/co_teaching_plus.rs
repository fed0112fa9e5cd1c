//! Co-teaching+: co-teaching among the samples on which the two networks disagree.
//!
//! Of the d samples of a batch whose predicted classes differ, network a learns from the R(t)·d of smallest ℓ_b and
//! network b from those of smallest ℓ_a. The networks of co-teaching grow alike in time and then filter no better
//! than one; where only disagreement teaches, they stay apart.
//! During the first `warm_up` steps both learn from all samples. A batch without disagreement teaches nothing.
//! Cost: one more forward pass of both networks per step, after the warm-up.
//! Variants: the share R(t) is that of co-teaching; the paper lets it fall a little further after T.
//! Reference: Yu et al., "How does Disagreement Help Generalization against Label Corruption?", ICML 2019, algorithm
//! 1, <https://arxiv.org/abs/1901.04215>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::CriterionConfig;

use super::supervised::plain_terms;
use super::{TaughtBatch, Teaching, plain};
use crate::range;
use crate::selector::threshold::Probabilities;
use crate::selector::{Selector, SmallLoss, disagreement, smallest};
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Co-teaching among the samples on which the two networks disagree.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | one class per sample | the task |
/// | `members` | – | two | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `small_loss` | – | see [`SmallLoss`] | how many samples are kept |
/// | `warm_up` | 0 | ≥ 0 | steps at the beginning with all samples |
///
/// Terms: `task@member` for each network.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{CoTeachingPlus, Teaching};
/// let text = r#"{"task": "class", "members": ["a", "b"], "criterion": {"name": "cross_entropy"},
///     "small_loss": {"forget": 0.2, "steps": 100}}"#;
/// let method: CoTeachingPlus = serde_json::from_str(text).unwrap();
/// assert_eq!((method.terms()?.len(), method.warm_up), (2, 0));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoTeachingPlus {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: [String; 2],
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// How many samples are kept.
    pub small_loss: SmallLoss,
    /// Steps at the beginning with all samples.
    #[serde(default)]
    pub warm_up: u64,
}

impl Teaching for CoTeachingPlus {
    fn terms(&self) -> Result<Named<Term>> {
        range::distinct(&self.members)?;
        self.small_loss.check()?;
        plain_terms(&self.task, &self.members, &self.criterion)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let [a, b] = [plain(&self.task, &self.members[0]), plain(&self.task, &self.members[1])];
        let labeled: Vec<usize> = taught.labeled(&a)?.iter().map(|(at, _)| *at).collect();
        if labeled.is_empty() || !taught.batch.targets.contains(&b) || taught.step < self.warm_up {
            return Ok(());
        }
        let ((of_a, losses_a), (of_b, losses_b)) =
            (taught.judged(&a, &self.criterion, ensemble)?, taught.judged(&b, &self.criterion, ensemble)?);
        let classes = |logits| -> Result<Vec<u32>> {
            Ok(Probabilities::of_logits(logits)?.best().iter().map(|(class, _)| *class).collect())
        };
        let apart = disagreement([&classes(&of_a)?, &classes(&of_b)?], &labeled);
        let keep = self.small_loss.keep(taught.step, apart.len());
        taught.select(&a, &smallest(&losses_b, &apart, keep))?;
        taught.select(&b, &smallest(&losses_a, &apart, keep))
    }
}

stateless!(CoTeachingPlus);
