//! Methods with learners in closed form.

use taskweave::cotrain::cotraining::{
    CoEm, CoTraining, Em, Method, SelfTraining, Session, SessionBuilder, TriTraining, Watch,
};
use taskweave::cotrain::gate::Gate;
use taskweave::cotrain::selector::Agreement;
use taskweave::prelude::*;

use super::Problem;
use super::problems::Split;

/// Draws of the window that vote.
const DRAWS: u64 = 7;

/// A method with learners in closed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classical {
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
}

impl Classical {
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
        }
    }

    /// How many sessions vote.
    pub fn draws(self) -> u64 {
        match self {
            Self::CoTrainingVote | Self::CoTrainingGate => DRAWS,
            _ => 1,
        }
    }

    pub fn session(self, problem: &Problem, split: &Split, (seed, draw): (u64, u64)) -> Result<Session> {
        let [left, right] = problem.views;
        let agreeing = CoTraining::default().selector(Agreement);
        let session = match self {
            Self::Supervised => team(problem, split, CoTraining::default(), &[left, right])?.rounds(0),
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
