//! All samples that a learner is sure enough of.
//!
//! A learner proposes its most probable class wherever a [`Threshold`] takes its prediction. Every learner has a threshold of
//! its own, which sees what the learner says of the window, round by round. The quota plays no part.
//! Variants: [`Fixed`](super::threshold::Fixed) is the paper's; [`Flexible`](super::threshold::Flexible) and
//! [`Free`](super::threshold::Free) adapt to the classes.
//! Reference: Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised Methods", ACL 1995.

use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::threshold::{Probabilities, Threshold};
use super::{Ballot, Selector};
use crate::parts::{keep, pick};
use crate::pool::Proposal;

/// All samples that a learner is sure enough of, by a [`Threshold`].
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Matrix;
/// use taskweave_cotrain::selector::threshold::{Fixed, Free};
/// use taskweave_cotrain::selector::{Ballot, Confident, Selector};
/// use taskweave_kernels::Named;
/// let predictions = Named::new([("page", Matrix::new(2, 2, vec![0.96, 0.04, 0.2, 0.8])?)])?;
/// let ballot = Ballot { samples: &[7, 8], predictions: &predictions, quota: &[0, 0], round: 1 };
/// assert_eq!(Confident::new(Fixed::default()).select(&ballot)?.len(), 1);
/// assert!(Confident::new(Fixed::new(1.01)?).select(&ballot)?.is_empty());
/// // τ = mean of 0.96 and 0.8; class 0 is predicted more often, so that the threshold of class 1 is lower.
/// assert_eq!(Confident::new(Free::new(0.0)?).select(&ballot)?.len(), 2);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Confident<T> {
    fresh: T,
    thresholds: Named<T>,
}

impl<T> Confident<T> {
    /// By this threshold, at its beginning for every learner.
    pub fn new(threshold: T) -> Self {
        Self { fresh: threshold, thresholds: Named::default() }
    }
}

impl<T: Threshold + Clone> Selector for Confident<T> {
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let (mut thresholds, mut proposals) = (self.thresholds.clone(), Vec::new());
        for (by, said) in ballot.predictions.iter() {
            if !thresholds.contains(by) {
                thresholds.insert(by, self.fresh.clone())?;
            }
            let p = Probabilities::new(said.columns(), said.values().to_vec())?;
            let taken = thresholds.require_mut("threshold of learner", by)?.select(ballot.samples, &p)?;
            let sure = ballot.samples.iter().zip(said.iter()).zip(taken).filter(|(_, taken)| *taken);
            proposals.extend(sure.map(|((sample, row), _)| Proposal::likeliest(by, *sample, row).1));
        }
        self.thresholds = thresholds;
        Ok(proposals)
    }
}

impl<T: Threshold + Clone> Stateful for Confident<T> {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let kept = |name: &str, threshold: &T| keep(&mut tensors, &format!("{name}/"), threshold.save()?);
        let values = self.thresholds.try_map(kept)?;
        Ok(State { tensors, ..State::of(&values)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let values: Named<serde_json::Value> = state.read("Confident")?;
        self.thresholds = values.try_map(|name, values| {
            let mut threshold = self.fresh.clone();
            threshold.restore(&pick(state, &format!("{name}/"), values)?)?;
            Ok::<_, Error>(threshold)
        })?;
        Ok(())
    }
}
