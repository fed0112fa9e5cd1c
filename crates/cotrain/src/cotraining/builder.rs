//! The parts of a session, checked against each other.

use std::sync::Arc;

use taskweave_kernels::{Error, Named, Result, Rng};

use super::{Member, Method, Rounds, Session, Team, Watch};
use crate::gate::Gate;
use crate::learner::{Learner, MultiView};
use crate::pool::Pool;

/// The parts of a [`Session`].
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `learner` | – | a learner with its name and the view that it sees; at least one |
/// | `rounds` | 30 | the most rounds |
/// | `gate` | off | what judges the rounds |
/// | `watch` | nobody | what is known for the report alone |
/// | `rng` | seed 0 | where randomness comes from |
pub struct SessionBuilder {
    views: Arc<MultiView>,
    pool: Pool,
    method: Box<dyn Method>,
    members: Vec<(String, Member)>,
    rounds: u64,
    gate: Gate,
    watch: Option<Watch>,
    rng: Rng,
}

impl Session {
    /// A session of a method on views and a pool.
    pub fn builder(views: Arc<MultiView>, pool: Pool, method: impl Method + 'static) -> SessionBuilder {
        SessionBuilder {
            views,
            pool,
            method: Box::new(method),
            members: Vec::new(),
            rounds: 30,
            gate: Gate::off(),
            watch: None,
            rng: Rng::new(0),
        }
    }
}

impl SessionBuilder {
    /// A learner called `name` that sees the view `view`.
    pub fn learner(self, name: &str, view: &str, learner: impl Learner + 'static) -> Self {
        self.boxed_learner(name, view, Box::new(learner))
    }

    /// A learner as a value whose type is chosen at run time.
    pub fn boxed_learner(mut self, name: &str, view: &str, learner: Box<dyn Learner>) -> Self {
        self.members.push((name.into(), Member { view: view.into(), learner }));
        self
    }

    /// The most rounds; with 0 the session is its supervised start.
    pub fn rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }

    /// What judges the rounds.
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// What is known for the report alone; no learner, method or gate sees it.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Where randomness comes from: the fork `"session"` of `rng`.
    pub fn rng(mut self, rng: &Rng) -> Self {
        self.rng = rng.fork("session");
        self
    }

    /// The session.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no learner, a sample of the pool that the views do not have, a pool with guesses (those of
    /// another session, whose rounds are not this one's), and what the method refuses;
    /// [`Error::Unknown`] for a view that there is not; [`Error::Name`] for a learner twice, or one called `together`.
    pub fn build(self) -> Result<Session> {
        let members = Named::new(self.members)?;
        if members.is_empty() {
            return Err(Error::parameter("learners", "at least one", 0));
        }
        if members.contains(super::session::TOGETHER) {
            return Err(Error::Name { name: super::session::TOGETHER.into() });
        }
        for member in members.values() {
            self.views.require(&member.view)?;
        }
        if !self.pool.pseudo().is_empty() {
            let found = format!("{} guesses of another session", self.pool.pseudo().len());
            return Err(Error::parameter("pool of a new session", "given labels alone", found));
        }
        let watched = self.watch.iter().flat_map(Watch::samples);
        let known = self.pool.labeled().keys().chain(self.pool.unlabeled()).copied();
        if let Some(sample) = known.chain(watched).find(|sample| *sample >= self.views.samples()) {
            return Err(Error::parameter("sample", format!("one below {}", self.views.samples()), sample));
        }
        self.gate.check(&self.pool, self.views.samples())?;
        let team = Team::new(members, self.pool.answers())?;
        self.method.check(&team, &self.pool)?;
        Ok(Session {
            views: self.views,
            team,
            pool: self.pool,
            method: self.method,
            gate: self.gate,
            watch: self.watch,
            rng: self.rng,
            most: self.rounds,
            at: super::session::Position::default(),
            history: Rounds::default(),
        })
    }
}
