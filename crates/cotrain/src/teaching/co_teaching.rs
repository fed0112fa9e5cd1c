//! Co-teaching: two networks, each of which picks the small losses of a batch for the other.
//!
//! With ℓ_a(x), ℓ_b(x) the losses of a batch of n labeled samples, network a learns from the R(t)·n samples of
//! smallest ℓ_b and network b from those of smallest ℓ_a; see [`SmallLoss`] for R(t).
//! Networks that start differently err differently on wrong labels, so that what one lets pass the other filters.
//! Guarantees: with `forget` 0 the networks train as each would alone.
//! Cost: one more forward pass of both networks per step.
//! Variants: losses are those of evaluation mode, so that the choice does not depend on dropout; R(t) falls by steps,
//! not by epochs.
//! Reference: Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS
//! 2018, algorithm 1, <https://arxiv.org/abs/1804.06872>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::CriterionConfig;

use super::supervised::plain_terms;
use super::{TaughtBatch, Teaching, plain};
use crate::range;
use crate::selector::{Selector, SmallLoss, smallest};
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Two networks, each of which picks the small losses of a batch for the other.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | | the task |
/// | `members` | – | two | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `small_loss` | – | see [`SmallLoss`] | how many samples are kept |
///
/// Terms: `task@member` for each network.
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::SmallLoss;
/// use taskweave_cotrain::teaching::{CoTeaching, Teaching};
/// use taskweave_loss::{CriterionConfig, criterion::CrossEntropy};
/// let method = CoTeaching {
///     task: "class".into(),
///     members: ["a".into(), "b".into()],
///     criterion: CriterionConfig::CrossEntropy(CrossEntropy::default()),
///     small_loss: SmallLoss { forget: 0.45, steps: 400 },
/// };
/// assert_eq!(method.terms()?.names().collect::<Vec<_>>(), ["class@a", "class@b"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoTeaching {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: [String; 2],
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// How many samples are kept.
    pub small_loss: SmallLoss,
}

impl Teaching for CoTeaching {
    fn terms(&self) -> Result<Named<Term>> {
        range::distinct(&self.members)?;
        self.small_loss.check()?;
        plain_terms(&self.task, &self.members, &self.criterion)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let [a, b] = [plain(&self.task, &self.members[0]), plain(&self.task, &self.members[1])];
        let (for_b, for_a) = (self.chosen(&a, taught, ensemble)?, self.chosen(&b, taught, ensemble)?);
        for (term, chosen) in [(a, for_a), (b, for_b)] {
            if taught.batch.targets.contains(&term) {
                taught.select(&term, &chosen)?;
            }
        }
        Ok(())
    }
}

impl CoTeaching {
    /// The labeled samples of smallest loss of one network.
    fn chosen(&self, term: &str, taught: &TaughtBatch, ensemble: &Ensemble) -> Result<Vec<usize>> {
        let labeled: Vec<usize> = taught.labeled(term)?.iter().map(|(at, _)| *at).collect();
        if labeled.is_empty() {
            return Ok(labeled);
        }
        let (_, losses) = taught.judged(term, &self.criterion, ensemble)?;
        Ok(smallest(&losses, &labeled, self.small_loss.keep(taught.step, labeled.len())))
    }
}

stateless!(CoTeaching);
