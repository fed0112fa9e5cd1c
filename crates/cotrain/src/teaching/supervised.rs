//! Plain training on labels: the baseline of every method.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};
use taskweave_loss::CriterionConfig;

use super::{TaughtBatch, Teaching, plain};
use crate::range;
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Each network learns the labels of one task by itself.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `task` | – | | the task |
/// | `members` | – | different | the networks |
/// | `criterion` | – | | the loss on labels |
///
/// Terms: `task@member` for each network.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::{Supervised, Teaching};
/// let text = r#"{"task": "class", "members": ["a", "b"], "criterion": {"name": "cross_entropy"}}"#;
/// let method: Supervised = serde_json::from_str(text).unwrap();
/// assert_eq!(method.terms()?.names().collect::<Vec<_>>(), ["class@a", "class@b"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervised {
    /// The task.
    pub task: String,
    /// The networks.
    pub members: Vec<String>,
    /// The loss on labels.
    pub criterion: CriterionConfig,
}

impl Teaching for Supervised {
    fn terms(&self) -> Result<Named<Term>> {
        range::distinct(&self.members)?;
        plain_terms(&self.task, &self.members, &self.criterion)
    }

    fn prepare(&mut self, _: &mut TaughtBatch, _: &Ensemble) -> Result<()> {
        Ok(())
    }
}

stateless!(Supervised);

/// The plain terms of some networks.
pub(super) fn plain_terms(
    task: &str,
    members: &[String],
    criterion: &CriterionConfig,
) -> Result<Named<Term>> {
    Named::new(members.iter().map(|member| (plain(task, member), Term::of(member, task, criterion.clone()))))
}
