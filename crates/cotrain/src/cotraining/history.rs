//! What happened in a session, round by round.

use serde::{Deserialize, Serialize};
use taskweave_kernels::Named;

use crate::gate::Decision;

/// What happened in one round; 0 is the supervised start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// The round.
    pub round: u64,
    /// Samples with given labels.
    pub labeled: usize,
    /// Samples with guessed labels.
    pub pseudo: usize,
    /// Samples without labels.
    pub unlabeled: usize,
    /// The share of guessed labels that are right, where the truth of any is known. For classes.
    pub precision: Option<f64>,
    /// How far each two learners agree on the samples that came without a label, by learner and learner; empty where the
    /// session is not watched.
    pub agreement: Named<Named<f64>>,
    /// The accuracy of every learner, and of all `together`, on the samples to be judged by; R² for values. Empty where
    /// there are none.
    pub scores: Named<f64>,
    /// What the gate decided.
    pub decision: Option<Decision>,
}

/// What happened in a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// The rounds in order, also those that were undone.
    pub rounds: Vec<RoundRecord>,
    /// The round that the gate went back to.
    pub returned_to: Option<u64>,
}
