//! Selectors: which unlabeled samples get a label, by whom, and which.
//!
//! | selector | proposes | reference |
//! | --- | --- | --- |
//! | [`TopK`] | what each learner is most sure of, per class | Blum and Mitchell, COLT 1998 |
//! | [`Confident`] | what a learner is sure enough of, by a fixed or adaptive [`threshold`] | Yarowsky, ACL 1995 |
//! | [`Agreement`] | what all learners say alike, the surest per class | Collins and Singer, EMNLP 1999 |
//! | [`Disagreement`] | what learners say differently, where one is sure | Zhou and Li, ICDM workshops 2010 |
//! | [`SmallLoss`] | the share of the smallest losses | Han et al., NeurIPS 2018 |
//!
//! Methods that teach several networks choose by the same thresholds and small losses, in the samples of a batch.

mod agreement;
mod confident;
mod disagreement;
mod ranking;
mod small_loss;
pub mod threshold;
mod top_k;

pub use agreement::Agreement;
pub use confident::Confident;
pub use disagreement::{Disagreement, disagreement};
pub use small_loss::{SmallLoss, smallest};
pub use top_k::TopK;

use taskweave_kernels::{Named, Result, Stateful};

use crate::learner::Matrix;
use crate::pool::Proposal;

/// What the learners say of some samples.
#[derive(Debug, Clone, Copy)]
pub struct Ballot<'a> {
    /// The samples; of those that are equally sure the first is chosen, so their order should be random.
    pub samples: &'a [usize],
    /// Probabilities `[samples, classes]` by learner.
    pub predictions: &'a Named<Matrix>,
    /// How many samples of each class are wanted per proposer.
    pub quota: &'a [usize],
    /// The round, from 1.
    pub round: u64,
}

/// Decides which samples get a label.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Matrix;
/// use taskweave_cotrain::selector::{Agreement, Ballot, Selector, TopK};
/// use taskweave_kernels::Named;
/// let page = Matrix::new(3, 2, vec![0.9, 0.1, 0.2, 0.8, 0.4, 0.6])?;
/// let links = Matrix::new(3, 2, vec![0.3, 0.7, 0.1, 0.9, 0.2, 0.8])?;
/// let predictions = Named::new([("page", page), ("links", links)])?;
/// let ballot = Ballot { samples: &[7, 8, 9], predictions: &predictions, quota: &[1, 1], round: 1 };
/// let chosen = |mut selector: Box<dyn Selector>| -> taskweave_kernels::Result<Vec<(usize, f64)>> {
///     Ok(selector.select(&ballot)?.iter().map(|p| (p.sample, p.label)).collect())
/// };
/// assert_eq!(chosen(Box::new(TopK))?, [(7, 0.0), (8, 1.0), (8, 1.0)]); // by "page" and then by "links"
/// assert_eq!(chosen(Box::new(Agreement))?, [(8, 1.0)]); // of 8 and 9 the surer one
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Selector: Stateful + Send {
    /// Whether its parameters are in range; asked when a session is built.
    ///
    /// # Errors
    /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for one that is not.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The proposals; several about one sample are resolved later.
    ///
    /// # Errors
    /// Those of the selector.
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>>;
}
