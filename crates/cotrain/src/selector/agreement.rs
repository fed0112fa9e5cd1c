//! The surest samples of each class among those that all learners say alike.
//!
//! Sample x is a candidate for class c where c is the most probable class of every learner; its doubt is the sum over the
//! learners of log(1 − p_c), and the `quota[c]` least doubtful ones are proposed, by all learners together.
//! Guarantees: no two proposals about one sample. Not: independent errors; learners that agree may err alike.
//! Reference: after Collins and Singer, "Unsupervised Models for Named Entity Classification", EMNLP 1999, who maximize
//! agreement; the ranking by doubt is this project's.

use taskweave_kernels::Result;

use super::ranking::{Ranked, doubt, surest};
use super::{Ballot, Selector};
use crate::pool::Proposal;
use crate::stateless::stateless;

/// The surest samples of each class among those that all learners say alike.
///
/// # Example
/// [`Selector`] has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement;

impl Selector for Agreement {
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let by: Vec<String> = ballot.predictions.names().map(String::from).collect();
        let mut ranked = Vec::new();
        for (place, &sample) in ballot.samples.iter().enumerate() {
            let rows = ballot.predictions.values().map(|said| said.row(place)).collect::<Result<Vec<_>>>()?;
            let Some((class, proposal)) = Proposal::unanimous(&by, sample, &rows) else { continue };
            let doubt = rows.iter().map(|row| doubt(row, class).max(f64::MIN_POSITIVE).ln()).sum();
            ranked.push(Ranked { proposal, class, doubt });
        }
        Ok(surest(ranked, ballot.quota))
    }
}

stateless!(Agreement);
