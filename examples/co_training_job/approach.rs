//! What is compared.

use taskweave::cotrain::cotraining::{Committee, RoundRecord, Rounds};
use taskweave::prelude::*;

use super::classical::Classical;
use super::problems::Split;
use super::{Problem, networks};
use crate::view_pair::Way;

/// A way to learn from few labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    /// Learners in closed form, round by round.
    Rounds(Classical),
    /// Two networks, each on its view.
    Networks(Way),
}

/// What came of an approach on a split.
pub struct Outcome {
    /// Test error in %.
    pub error: f64,
    /// The same of round 0, where learners say together what the given labels teach alone; networks start as those end that learn
    /// by themselves.
    pub start: Option<f64>,
    /// The share of guessed labels that are right.
    pub precision: Option<f64>,
    /// Sessions that the gate has set back.
    pub returned: usize,
    /// What happened in the (first) session.
    pub history: Rounds,
}

impl Approach {
    pub const ALL: [Self; 10] = [
        Self::Rounds(Classical::Supervised),
        Self::Rounds(Classical::SelfTraining),
        Self::Rounds(Classical::Em),
        Self::Rounds(Classical::CoEm),
        Self::Rounds(Classical::CoTraining),
        Self::Rounds(Classical::CoTrainingVote),
        Self::Rounds(Classical::CoTrainingGate),
        Self::Rounds(Classical::TriTraining),
        Self::Networks(Way::Supervised),
        Self::Networks(Way::Deep),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rounds(classical) => classical.name(),
            Self::Networks(Way::Supervised) => "networks, supervised",
            Self::Networks(Way::Mutual) => "networks, mutual learning",
            Self::Networks(Way::Deep) => "networks, deep co-training",
        }
    }

    /// Learns from a split and judges by its test samples.
    pub fn outcome(self, problem: &Problem, seed: u64) -> Result<Outcome> {
        let split = problem.split(seed)?;
        match self {
            Self::Rounds(classical) => of_rounds(classical, problem, &split, seed),
            Self::Networks(way) => of_networks(way, problem, &split, seed),
        }
    }
}

fn of_rounds(classical: Classical, problem: &Problem, split: &Split, seed: u64) -> Result<Outcome> {
    let sessions = (0..classical.draws()).map(|draw| classical.session(problem, split, (seed, draw)));
    let mut committee = Committee::new(sessions.collect::<Result<_>>()?)?;
    committee.run()?;
    let labels = committee.labels(&split.test)?;
    let sessions = committee.sessions();
    let history = sessions[0].history().clone();
    let start = history.rounds.first().and_then(|record| record.scores.get("together").copied());
    Ok(Outcome {
        start: start.map(|score| 100.0 * (1.0 - score)),
        error: error(problem, split, &labels),
        precision: kept(&history).and_then(|record| record.precision),
        returned: sessions.iter().filter(|session| session.history().returned_to.is_some()).count(),
        history,
    })
}

fn of_networks(way: Way, problem: &Problem, split: &Split, seed: u64) -> Result<Outcome> {
    let labels = networks::labels(problem, split, way, seed)?;
    let labels: Vec<f64> = labels.into_iter().map(f64::from).collect();
    let error = error(problem, split, &labels);
    Ok(Outcome { error, start: None, precision: None, returned: 0, history: Rounds::default() })
}

/// The share of wrong labels of the test samples, in percent.
fn error(problem: &Problem, split: &Split, labels: &[f64]) -> f64 {
    let wrong = labels.iter().zip(&split.test).filter(|(label, at)| **label != problem.classes[**at] as f64);
    100.0 * wrong.count() as f64 / labels.len() as f64
}

/// The round that a session ended with: the one that the gate went back to, else the last.
fn kept(history: &Rounds) -> Option<&RoundRecord> {
    let returned = history.returned_to.and_then(|to| history.rounds.iter().find(|record| record.round == to));
    returned.or(history.rounds.last())
}
