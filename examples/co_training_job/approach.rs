//! What is compared.

use taskweave::cotrain::cotraining::{
    CoEm, CoTraining, Committee, Em, Method, RoundRecord, Rounds, SelfTraining, Session, SessionBuilder,
    TriTraining, Watch,
};
use taskweave::cotrain::gate::Gate;
use taskweave::cotrain::selector::Agreement;
use taskweave::prelude::*;

use super::problems::Split;
use super::{Problem, networks};
use crate::view_pair::Way;

/// Draws of the window that vote.
const DRAWS: u64 = 7;

/// A way to learn from few labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    Supervised,
    SelfTraining,
    Em,
    CoEm,
    /// The surest samples of each view, as in the paper.
    CoTraining,
    /// Samples on which the views agree; a vote over several draws of the window.
    CoTrainingVote,
    /// The same, every draw with a gate that sees no label but the given ones.
    CoTrainingGate,
    TriTraining,
    /// Two networks, each on its view, that learn by themselves.
    Networks,
    /// The same, which agree on all samples.
    DeepCoTraining,
}

/// What came of an approach on a split.
pub struct Outcome {
    /// Test error in %.
    pub error: f64,
    /// The same of round 0, where learners say together what the given labels teach alone; networks start as
    /// [`Approach::Networks`] ends.
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
        Self::Supervised,
        Self::SelfTraining,
        Self::Em,
        Self::CoEm,
        Self::CoTraining,
        Self::CoTrainingVote,
        Self::CoTrainingGate,
        Self::TriTraining,
        Self::Networks,
        Self::DeepCoTraining,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Supervised => "supervised",
            Self::SelfTraining => "self-training",
            Self::Em => "EM",
            Self::CoEm => "co-EM",
            Self::CoTraining => "co-training",
            Self::CoTrainingVote => "co-training, agreement, vote",
            Self::CoTrainingGate => "co-training, agreement, vote, gate",
            Self::TriTraining => "tri-training",
            Self::Networks => "networks, supervised",
            Self::DeepCoTraining => "networks, deep co-training",
        }
    }

    /// Learns from a split and judges by its test samples.
    pub fn outcome(self, problem: &Problem, seed: u64) -> Result<Outcome> {
        let split = problem.split(seed)?;
        if let Some(way) = self.way() {
            let labels = networks::labels(problem, &split, way, seed)?;
            let labels: Vec<f64> = labels.into_iter().map(f64::from).collect();
            let error = error(problem, &split, &labels);
            return Ok(Outcome {
                error,
                start: None,
                precision: None,
                returned: 0,
                history: Rounds::default(),
            });
        }
        let draws = match self {
            Self::CoTrainingVote | Self::CoTrainingGate => DRAWS,
            _ => 1,
        };
        let sessions = (0..draws).map(|draw| self.session(problem, &split, (seed, draw)));
        let mut committee = Committee::new(sessions.collect::<Result<_>>()?)?;
        committee.run()?;
        let labels = committee.labels(&split.test)?;
        let sessions = committee.sessions();
        let history = sessions[0].history().clone();
        let start = history.rounds.first().and_then(|record| record.scores.get("together").copied());
        Ok(Outcome {
            start: start.map(|score| 100.0 * (1.0 - score)),
            error: error(problem, &split, &labels),
            precision: kept(&history).and_then(|record| record.precision),
            returned: sessions.iter().filter(|session| session.history().returned_to.is_some()).count(),
            history,
        })
    }

    /// How two networks learn, where it is networks that learn.
    fn way(self) -> Option<Way> {
        match self {
            Self::Networks => Some(Way::Supervised),
            Self::DeepCoTraining => Some(Way::Deep),
            _ => None,
        }
    }

    fn session(self, problem: &Problem, split: &Split, (seed, draw): (u64, u64)) -> Result<Session> {
        let [left, right] = problem.views;
        let agreeing = CoTraining::default().selector(Agreement);
        let session = match self {
            Self::Supervised | Self::Networks | Self::DeepCoTraining => {
                team(problem, split, CoTraining::default(), &[left, right])?.rounds(0)
            }
            Self::SelfTraining => team(problem, split, SelfTraining::default(), &["both"])?,
            Self::Em => team(problem, split, Em::default(), &["both"])?,
            Self::CoEm => team(problem, split, CoEm::default(), &[left, right])?,
            Self::CoTraining => team(problem, split, CoTraining::default(), &[left, right])?,
            Self::CoTrainingVote => team(problem, split, agreeing, &[left, right])?,
            Self::CoTrainingGate => team(problem, split, agreeing, &[left, right])?.gate(Gate::unlabeled(2)?),
            Self::TriTraining => team(problem, split, TriTraining::default(), &[left, right, "both"])?,
        };
        let rng = Rng::new(seed).fork_at(draw);
        // The report shows the first draw; to watch the others would only take time.
        let session = if draw == 0 { session.watch(watch(problem, split)?) } else { session };
        session.rng(&rng).build()
    }
}

/// The share of wrong labels of the test samples, in percent.
fn error(problem: &Problem, split: &Split, labels: &[f64]) -> f64 {
    let wrong = labels.iter().zip(&split.test).filter(|(label, at)| **label != problem.classes[**at] as f64);
    100.0 * wrong.count() as f64 / labels.len() as f64
}

/// One learner per view.
fn team(
    problem: &Problem,
    split: &Split,
    method: impl Method + 'static,
    views: &[&str],
) -> Result<SessionBuilder> {
    let mut session = Session::builder(split.views.clone(), split.pool.clone(), method);
    for view in views {
        session = session.boxed_learner(view, view, problem.learner()?);
    }
    Ok(session)
}

fn watch(problem: &Problem, split: &Split) -> Result<Watch> {
    let truth = problem.classes.iter().enumerate().map(|(sample, class)| (sample, *class as f64));
    Watch::new(truth, split.test.iter().copied())
}

/// The round that a session ended with: the one that the gate went back to, else the last.
fn kept(history: &Rounds) -> Option<&RoundRecord> {
    let returned = history.returned_to.and_then(|to| history.rounds.iter().find(|record| record.round == to));
    returned.or(history.rounds.last())
}
