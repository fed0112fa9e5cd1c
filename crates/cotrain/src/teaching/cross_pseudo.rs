//! Cross pseudo supervision: every network learns the labels and what the others would choose.
//!
//! Minimized is
//!     Σ_k [ CE(y, p_k) + λ(t) · 1/(N − 1) · Σ_{l ≠ k} CE(argmax p_l, p_k) ],
//! per pixel where the task is dense.
//! Guarantees: with λ = 0 the networks train as each would alone.
//! Cost: that of training the N networks.
//! Reference: Chen et al., "Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision", CVPR 2021,
//! <https://arxiv.org/abs/2106.01226>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::CriterionConfig;
use taskweave_loss::criterion::{Absolute, CrossPseudo as Crossed};

use super::supervised::plain_terms;
use super::{Ramp, TaughtBatch, Teaching};
use crate::range;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Every network learns the labels and what the others would choose.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | classes, per sample or per pixel | the task |
/// | `members` | – | ≥ 2 | the networks |
/// | `criterion` | – | | the loss on labels |
/// | `reads` | as they are | | by view, the unlabeled inputs |
/// | `lambda` | 1.5 | ≥ 0 | λ; the paper takes 1.5 to 6 |
/// | `ramp` | none | | how λ grows |
///
/// Terms: `task@member` for each network, `task.cross` between them.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{CrossPseudo, Teaching};
/// let text = r#"{"task": "mask", "members": ["a", "b"], "criterion": {"name": "cross_entropy"},
///     "reads": [["image", "unlabeled"]]}"#;
/// let method: CrossPseudo = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?["mask.cross"].reads["image"], "unlabeled");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossPseudo {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: Vec<String>,
    /// The loss on labels.
    pub criterion: CriterionConfig,
    /// By view, the unlabeled inputs.
    #[serde(default)]
    pub reads: Named<String>,
    /// λ.
    #[serde(default = "usual")]
    pub lambda: f64,
    /// How λ grows.
    #[serde(default)]
    pub ramp: Ramp,
}

impl Teaching for CrossPseudo {
    fn terms(&self) -> Result<Named<Term>> {
        range::several(&self.members)?;
        range::not_negative("lambda of cross pseudo supervision", self.lambda)?;
        let mut terms = plain_terms(&self.task, &self.members, &self.criterion)?;
        let crossed = CriterionConfig::Absolute(Absolute::new(CriterionConfig::CrossPseudo(Crossed)));
        terms.insert(self.cross(), Term::between(&self.members, &self.task, crossed).reading(&self.reads))?;
        Ok(terms)
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, _: &Ensemble) -> Result<()> {
        taught.set_weight(&self.cross(), &self.reads, self.lambda * self.ramp.at(taught.step))
    }
}

impl CrossPseudo {
    fn cross(&self) -> String {
        format!("{}.cross", self.task)
    }
}

stateless!(CrossPseudo);

fn usual() -> f64 {
    1.5
}
