//! The samples that learners say differently, where one of them is sure.
//!
//! Sample x is a candidate where the most probable classes of the learners are not all equal. The surest learner proposes
//! its class where p ≥ `least`, and the `quota[c]` surest per class are kept. What others can learn from is where they err.
//! Reference: after Zhou and Li, "Semi-supervised learning by disagreement", Knowledge and Information Systems 24, 2010;
//! the threshold and the quota are this project's.

use taskweave_kernels::{Error, Result};

use super::ranking::{Ranked, doubt, surest};
use super::{Ballot, Selector};
use crate::pool::Proposal;
use crate::stateless::stateless;

/// The samples that learners say differently, where one of them is sure.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `least` | 0.9 | \[0, 1\] | the least probability of a proposal |
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Matrix;
/// use taskweave_cotrain::selector::{Ballot, Disagreement, Selector};
/// use taskweave_kernels::Named;
/// let page = Matrix::new(2, 2, vec![0.95, 0.05, 0.99, 0.01])?;
/// let links = Matrix::new(2, 2, vec![0.4, 0.6, 0.8, 0.2])?;
/// let predictions = Named::new([("page", page), ("links", links)])?;
/// let ballot = Ballot { samples: &[7, 8], predictions: &predictions, quota: &[1, 1], round: 1 };
/// let chosen = Disagreement::default().select(&ballot)?;
/// assert_eq!((chosen.len(), chosen[0].sample, chosen[0].label), (1, 7, 0.0)); // on 8 both agree
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disagreement {
    least: f64,
}

impl Disagreement {
    /// From a probability of `least` on.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not in \[0, 1\].
    pub fn new(least: f64) -> Result<Self> {
        match (0.0..=1.0).contains(&least) {
            true => Ok(Self { least }),
            false => Err(Error::parameter("least probability", "a number in [0, 1]", least)),
        }
    }
}

impl Default for Disagreement {
    fn default() -> Self {
        Self { least: 0.9 }
    }
}

impl Selector for Disagreement {
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let mut ranked = Vec::new();
        for (place, &sample) in ballot.samples.iter().enumerate() {
            let mut said = Vec::new();
            for (by, said_by) in ballot.predictions.iter() {
                let row = said_by.row(place)?;
                let (class, proposal) = Proposal::likeliest(by, sample, row);
                said.push(Ranked { proposal, class, doubt: doubt(row, class) });
            }
            let differs = said.iter().any(|one| one.class != said[0].class);
            let surest = said.into_iter().min_by(|a, b| a.doubt.total_cmp(&b.doubt));
            ranked.extend(surest.filter(|one| differs && one.proposal.confidence >= self.least));
        }
        Ok(surest(ranked, ballot.quota))
    }
}

stateless!(Disagreement);

/// The candidates about which two networks disagree.
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::disagreement;
/// assert_eq!(disagreement([&[0, 1, 2], &[0, 2, 1]], &[0, 1]), [1]);
/// ```
pub fn disagreement([a, b]: [&[u32]; 2], candidates: &[usize]) -> Vec<usize> {
    candidates.iter().copied().filter(|at| a.get(*at) != b.get(*at)).collect()
}
