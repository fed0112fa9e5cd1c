//! All samples that a learner is sure enough of.
//!
//! A learner proposes its most probable class c wherever p_c ≥ τ. The quota plays no part.
//! Reference: Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised Methods", ACL 1995.

use taskweave_kernels::{Error, Result};

use super::{Ballot, Selector};
use crate::pool::Proposal;

/// All samples that a learner is sure enough of.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `least` | 0.95 | ≥ 0 | τ; above 1 nothing is proposed |
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Matrix;
/// use taskweave_cotrain::selector::{Ballot, Selector, Threshold};
/// use taskweave_kernels::Named;
/// let predictions = Named::new([("page", Matrix::new(2, 2, vec![0.96, 0.04, 0.2, 0.8])?)])?;
/// let ballot = Ballot { samples: &[7, 8], predictions: &predictions, quota: &[0, 0] };
/// assert_eq!(Threshold::default().select(&ballot)?.len(), 1);
/// assert!(Threshold::new(1.01)?.select(&ballot)?.is_empty());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    least: f64,
}

impl Threshold {
    /// From a probability of `least` on.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is negative or not finite.
    pub fn new(least: f64) -> Result<Self> {
        match least.is_finite() && least >= 0.0 {
            true => Ok(Self { least }),
            false => Err(Error::parameter("threshold", "a finite number ≥ 0", least)),
        }
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self { least: 0.95 }
    }
}

impl Selector for Threshold {
    fn select(&self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let mut proposals = Vec::new();
        for (by, said) in ballot.predictions.iter() {
            let sure = |(sample, row): (&usize, &[f64])| {
                let (_, proposal) = Proposal::likeliest(by, *sample, row);
                (proposal.confidence >= self.least).then_some(proposal)
            };
            proposals.extend(ballot.samples.iter().zip(said.iter()).filter_map(sure));
        }
        Ok(proposals)
    }
}
