//! Deep mutual learning: every network learns the labels and imitates the others.
//!
//! Minimized is
//!     Σ_k [ CE(y, p_k) + λ(t) · 1/(N − 1) · Σ_{l ≠ k} KL(sg p_l ‖ p_k) ],   sg: taken as a constant.
//! Guarantees: with λ = 0 the networks train as each would alone.
//! Cost: that of training the N networks.
//! Variants: all networks are updated at once, from the same predictions; the paper takes turns within a step.
//! Imitation may read other inputs than the labeled ones, which makes it semi-supervised.
//! Reference: Zhang et al., "Deep Mutual Learning", CVPR 2018, <https://arxiv.org/abs/1706.00384>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::CriterionConfig;
use taskweave_loss::criterion::{Absolute, PairwiseKl};

use super::supervised::plain_terms;
use super::{Ramp, TaughtBatch, Teaching};
use crate::range;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Every network learns the labels and imitates the others.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | classes | the task |
/// | `members` | – | ≥ 2 | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `reads` | as they are | | by view, the inputs on which they imitate |
/// | `lambda` | 1 | ≥ 0 | λ |
/// | `ramp` | none | | how λ grows |
///
/// Terms: `task@member` for each network, `task.mutual` between them.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{MutualLearning, Teaching};
/// let text = r#"{"task": "class", "members": ["a", "b", "c"], "criterion": {"name": "cross_entropy"}}"#;
/// let method: MutualLearning = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?["class.mutual"].members, ["a", "b", "c"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutualLearning {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: Vec<String>,
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// By view, the inputs on which they imitate.
    #[serde(default)]
    pub reads: Named<String>,
    /// λ.
    #[serde(default = "one")]
    pub lambda: f64,
    /// How λ grows.
    #[serde(default)]
    pub ramp: Ramp,
}

impl Teaching for MutualLearning {
    fn terms(&self) -> Result<Named<Term>> {
        range::several(&self.members)?;
        range::not_negative("lambda of mutual learning", self.lambda)?;
        let mut terms = plain_terms(&self.task, &self.members, &self.criterion)?;
        let imitate =
            CriterionConfig::Absolute(Absolute::new(CriterionConfig::PairwiseKl(PairwiseKl::default())));
        terms
            .insert(self.mutual(), Term::between(&self.members, &self.task, imitate).reading(&self.reads))?;
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, _: &Ensemble) -> Result<()> {
        taught.set_weight(&self.mutual(), &self.reads, self.lambda * self.ramp.at(taught.step))
    }
}

impl MutualLearning {
    fn mutual(&self) -> String {
        format!("{}.mutual", self.task)
    }
}

stateless!(MutualLearning);

fn one() -> f64 {
    1.0
}
