//! The k surest samples of each class, by each learner.
//!
//! A learner proposes for class c the `quota[c]` samples with the largest p_c among those whose most probable class is c.
//! Variants: common code takes the largest p_c among all samples, and so labels some as c that it holds for another class.
//! Reference: Blum and Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998, table 1.

use taskweave_kernels::Result;

use super::ranking::{Ranked, doubt, surest};
use super::{Ballot, Selector};
use crate::pool::Proposal;
use crate::stateless::stateless;

/// The k surest samples of each class, by each learner; k is the quota.
///
/// # Example
/// [`Selector`] has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopK;

impl Selector for TopK {
    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        let mut proposals = Vec::new();
        for (by, said) in ballot.predictions.iter() {
            let rank = |(sample, row): (&usize, &[f64])| {
                let (class, proposal) = Proposal::likeliest(by, *sample, row);
                Ranked { proposal, class, doubt: doubt(row, class) }
            };
            let ranked = ballot.samples.iter().zip(said.iter()).map(rank).collect();
            proposals.extend(surest(ranked, ballot.quota));
        }
        Ok(proposals)
    }
}

stateless!(TopK);
