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
            let threshold = thresholds.require_mut("threshold of learner", by)?;
            let taken = Probabilities::new(said.columns(), said.values().to_vec())
                .and_then(|p| threshold.select(ballot.samples, &p))
                .map_err(|error| of_learner(by, error))?;
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
            let own = pick(state, &format!("{name}/"), values)?;
            threshold.restore(&own).map_err(|error| of_learner(name, error))?;
            Ok::<_, Error>(threshold)
        })?;
        Ok(())
    }
}

/// The same error, with the learner that it is about.
fn of_learner(learner: &str, error: Error) -> Error {
    match error {
        Error::Parameter { name, expected, found } => {
            Error::parameter(format!("{name} of learner `{learner}`"), expected, found)
        }
        Error::State { what, expected, found } => {
            Error::state(format!("{what} of learner `{learner}`"), expected, found)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::threshold::{Fixed, Free};
    use super::*;
    use crate::learner::Matrix;

    fn error(selector: &mut dyn Selector, links: Matrix) -> String {
        let page = Matrix::new(1, 2, vec![0.9, 0.1]).unwrap();
        let predictions = Named::new([("page", page), ("links", links)]).unwrap();
        let ballot = Ballot { samples: &[7], predictions: &predictions, quota: &[], round: 1 };
        selector.select(&ballot).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_is_refused_names_learner_and_class() {
        let row = |values: &[f64]| Matrix::new(1, values.len(), values.to_vec()).unwrap();
        let mut fixed = Confident::new(Fixed::default());
        assert_eq!(error(&mut fixed, row(&[0.9, 0.1])), "");
        let found = error(&mut fixed, row(&[-0.5, 1.5]));
        assert!(found.starts_with("probability of class 0 in row 0 of learner `links`:"), "{found}");
        let found = error(&mut fixed, row(&[0.9, 0.9]));
        assert!(found.starts_with("sum of the probabilities in row 0 of learner `links`:"), "{found}");
        let mut free = Confident::new(Free::default());
        assert_eq!(error(&mut free, row(&[0.9, 0.1])), "");
        let found = error(&mut free, row(&[0.5, 0.3, 0.2]));
        assert!(found.starts_with("classes of a free threshold of learner `links`:"), "{found}");
    }

    #[test]
    fn a_state_that_does_not_fit_names_its_learner() {
        let text = r#"[["links", "nothing of a threshold"]]"#;
        let state = State { values: serde_json::from_str(text).unwrap(), ..State::default() };
        let error = Confident::new(Free::default()).restore(&state).unwrap_err().to_string();
        assert!(error.contains("of learner `links`"), "{error}");
    }
}
