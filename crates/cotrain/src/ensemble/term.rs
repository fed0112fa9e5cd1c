//! One term of an objective: who predicts what from which inputs, and how it is judged.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Named;
use taskweave_loss::CriterionConfig;

/// One term of an objective: who predicts what from which inputs, and how it is judged.
///
/// # Example
/// The loss of network `a` on the strong view of an image, under the name that the network knows it by.
/// ```
/// use taskweave_cotrain::Term;
/// use taskweave_kernels::Named;
/// use taskweave_loss::{CriterionConfig, criterion::CrossEntropy};
/// let labels = CriterionConfig::CrossEntropy(CrossEntropy::default());
/// let term = Term::of("a", "class", labels).reading(&Named::new([("image", "strong".to_string())])?);
/// assert_eq!(term.reads["image"], "strong");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The networks. The prediction of one is taken as it is; those of several are stacked, `[batch, networks, …]`.
    pub members: Vec<String>,
    /// The task of the networks.
    pub task: String,
    /// By view of the networks, the input that they see in its place. Views that are not named are the inputs of the
    /// same name.
    #[serde(default)]
    pub reads: Named<String>,
    /// How the prediction is judged.
    pub criterion: CriterionConfig,
}

impl Term {
    /// The task of one network.
    pub fn of(member: &str, task: &str, criterion: CriterionConfig) -> Self {
        Self::between(&[member], task, criterion)
    }

    /// The same task of several networks, their predictions stacked.
    pub fn between<S: AsRef<str>>(members: &[S], task: &str, criterion: CriterionConfig) -> Self {
        let members = members.iter().map(|member| member.as_ref().into()).collect();
        Self { members, task: task.into(), reads: Named::default(), criterion }
    }

    /// The same term, from other inputs: by view of the networks, the input that they see in its place.
    #[must_use]
    pub fn reading(self, reads: &Named<String>) -> Self {
        let mut reads = reads.clone();
        let same: Vec<String> =
            reads.iter().filter(|(view, input)| view == input).map(|(view, _)| view.into()).collect();
        same.iter().for_each(|view| drop(reads.remove(view)));
        Self { reads, ..self }
    }

    /// Whether this is a task of one network on the inputs as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.members.len() == 1 && self.reads.is_empty()
    }
}
