//! A session: the rounds of a method, one part at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};

use super::vote::agreement;
use super::{Listener, Method, Room, RoundRecord, Rounds, Silent, Team, Turn};
use crate::Control;
use crate::gate::{Gate, Verdict, score};
use crate::learner::{Answers, Matrix, MultiView};
use crate::parts::{all_or_nothing, keep, pick};
use crate::pool::{Pool, PseudoLabel};

/// What all learners say together, among the scores.
pub(super) const TOGETHER: &str = "together";

/// What is known for the report alone.
///
/// # Example
/// ```
/// use taskweave_cotrain::cotraining::Watch;
/// let watch = Watch::new([(4, 1.0), (5, 0.0)], [5])?; // the truth of samples 4 and 5, and 5 is to be judged by
/// assert!(Watch::new([(4, 1.0)], [5]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    truth: BTreeMap<usize, f64>,
    test: Vec<usize>,
}

impl Watch {
    /// True labels of any samples, and the samples to be judged by.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a sample to be judged by whose truth is not known.
    pub fn new(
        truth: impl IntoIterator<Item = (usize, f64)>,
        test: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let (truth, test): (BTreeMap<_, _>, Vec<_>) =
            (truth.into_iter().collect(), test.into_iter().collect());
        match test.iter().find(|sample| !truth.contains_key(sample)) {
            Some(sample) => {
                Err(Error::parameter("sample to be judged by", "one whose truth is known", sample))
            }
            None => Ok(Self { truth, test }),
        }
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = usize> {
        self.truth.keys().copied()
    }
}

/// What a call of [`Session::advance`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// A part of a round.
    Part,
    /// The last part of a round.
    Round,
    /// Nothing: the session is over.
    Over,
}

/// Several learners, or one, that a method teaches round by round.
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one.
pub struct Session {
    pub(super) views: Arc<MultiView>,
    pub(super) team: Team,
    pub(super) pool: Pool,
    pub(super) method: Box<dyn Method>,
    pub(super) gate: Gate,
    pub(super) watch: Option<Watch>,
    pub(super) rng: Rng,
    pub(super) most: u64,
    pub(super) at: Position,
    pub(super) history: Rounds,
}

/// Where a session is: in which round, and how many of its parts are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    round: u64,
    part: usize,
    over: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    at: Position,
    rng: Rng,
    history: Rounds,
    team: serde_json::Value,
    pool: serde_json::Value,
    method: serde_json::Value,
    gate: serde_json::Value,
}

impl Session {
    /// All rounds that are still to come.
    ///
    /// # Errors
    /// Those of [`Session::advance`].
    pub fn run(&mut self) -> Result<()> {
        self.run_with(&mut Silent)
    }

    /// All rounds that are still to come, with a listener.
    ///
    /// # Errors
    /// Those of [`Session::advance`] and of the listener.
    pub fn run_with(&mut self, listener: &mut dyn Listener) -> Result<()> {
        listener.on_start(self.at.round, self.most)?;
        loop {
            match self.advance()? {
                Advance::Part => {}
                Advance::Over => return listener.on_end(),
                Advance::Round => {
                    if let Some(record) = self.history.rounds.last()
                        && listener.on_round(record)? == Control::Stop
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The next part of a round: preparing, one learner's lesson, or judging. A session may be saved after any of them.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a prediction that is not finite; those of the learners and the method. The session stands
    /// before the part then, but for what a learner has done before it failed.
    pub fn advance(&mut self) -> Result<Advance> {
        if self.at.over {
            return Ok(Advance::Over);
        }
        let part = self.at.part;
        if part == 0 && self.at.round > 0 && self.prepare()? == Turn::Over {
            self.end()?;
            return Ok(Advance::Over);
        }
        let name =
            part.checked_sub(1).and_then(|place| self.team.members().names().nth(place)).map(String::from);
        if let Some(name) = &name {
            self.teach(name)?;
        }
        self.at.part += 1;
        if part == 0 || name.is_some() {
            return Ok(Advance::Part);
        }
        self.judge()?;
        Ok(Advance::Round)
    }

    /// What the learners say together of some samples, `[samples, classes]` or `[samples, 1]`.
    ///
    /// # Errors
    /// Those of the learners.
    pub fn predict(&self, samples: &[usize]) -> Result<Matrix> {
        self.method.combine(&self.team.predict(&self.views, samples)?, self.pool.answers())
    }

    /// The class, as a number, or the value that the learners say together of some samples.
    ///
    /// # Errors
    /// Those of the learners.
    pub fn labels(&self, samples: &[usize]) -> Result<Vec<f64>> {
        Ok(self.predict(samples)?.iter().map(|row| self.pool.answers().label(row)).collect())
    }

    /// What happened.
    pub fn history(&self) -> &Rounds {
        &self.history
    }

    /// Who has a label by now.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The learners.
    pub fn team(&self) -> &Team {
        &self.team
    }

    fn prepare(&mut self) -> Result<Turn> {
        let Self { views, team, pool, method, rng, at, .. } = self;
        method.prepare(&mut Room { views, team, pool, round: at.round, rng: rng.fork_at(at.round) })
    }

    fn teach(&mut self, name: &str) -> Result<()> {
        let Self { views, team, pool, method, rng, at, .. } = self;
        let room = Room { views, team, pool, round: at.round, rng: rng.fork_at(at.round) };
        let lesson = match at.round {
            0 => Some(method.start(&room, name)?),
            _ => method.lesson(&room, name)?,
        };
        lesson.map_or(Ok(()), |lesson| team.teach(name, views, &lesson))
    }

    fn judge(&mut self) -> Result<()> {
        let mut record = self.record()?;
        let Self { views, team, pool, method, gate, rng, at, .. } = self;
        let mut room = Room { views, team, pool, round: at.round, rng: rng.fork_at(at.round) };
        let method = &**method;
        record.decision = gate.judge(&mut room, method, |room| parts(room.team, room.pool, method))?;
        let stopped = record.decision.as_ref().is_some_and(|decision| decision.verdict == Verdict::Stopped);
        self.history.rounds.push(record);
        if stopped || self.at.round >= self.most {
            return self.end();
        }
        self.at = Position { round: self.at.round + 1, part: 0, over: false };
        Ok(())
    }

    /// Goes back to the last round that the gate kept.
    fn end(&mut self) -> Result<()> {
        if let Some((round, state)) = self.gate.way_back() {
            let [team, pool, method]: [serde_json::Value; 3] = state.read("a round")?;
            self.team.restore(&pick(state, "team/", &team)?)?;
            self.pool.restore(&pick(state, "pool/", &pool)?)?;
            self.method.restore(&pick(state, "method/", &method)?)?;
            self.history.returned_to = Some(round);
        }
        self.at.over = true;
        Ok(())
    }

    fn record(&self) -> Result<RoundRecord> {
        let mut record = RoundRecord {
            round: self.at.round,
            labeled: self.pool.labeled().len(),
            pseudo: self.pool.pseudo().len(),
            unlabeled: self.pool.unlabeled().len(),
            precision: None,
            agreement: Named::default(),
            scores: Named::default(),
            decision: None,
        };
        let Some(watch) = &self.watch else { return Ok(record) };
        let answers = self.pool.answers();
        record.precision = match answers {
            Answers::Classes(_) => self.precision(watch),
            Answers::Value => None,
        };
        let said = self.team.predict(&self.views, &self.pool.without_given_label())?;
        record.agreement = said.map(|_, a| said.map(|_, b| agreement(a, b, answers)));
        if !watch.test.is_empty() {
            let said = self.team.predict(&self.views, &watch.test)?;
            let labels = || watch.test.iter().filter_map(|sample| watch.truth.get(sample)).copied();
            record.scores = said.map(|_, said| score(said, labels(), answers));
            record
                .scores
                .insert(TOGETHER, score(&self.method.combine(&said, answers)?, labels(), answers))?;
        }
        Ok(record)
    }

    /// The share of guessed labels that are right, of those whose truth is known.
    fn precision(&self, watch: &Watch) -> Option<f64> {
        let right = |(sample, guesses): (&usize, &Vec<PseudoLabel>)| -> Vec<bool> {
            let truth = watch.truth.get(sample);
            guesses.iter().filter_map(|guess| Some(*truth? == guess.label)).collect()
        };
        let right: Vec<bool> = self.pool.pseudo().iter().flat_map(right).collect();
        let count = right.iter().filter(|right| **right).count();
        (!right.is_empty()).then(|| count as f64 / right.len() as f64)
    }
}

/// Everything: position, learners, pool, method, gate and history. A saved state fits a session of the same parts.
impl Stateful for Session {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let saved = Saved {
            at: self.at,
            rng: self.rng.clone(),
            history: self.history.clone(),
            team: keep(&mut tensors, "team/", self.team.save()?)?,
            pool: keep(&mut tensors, "pool/", self.pool.save()?)?,
            method: keep(&mut tensors, "method/", self.method.save()?)?,
            gate: keep(&mut tensors, "gate/", self.gate.save()?)?,
        };
        Ok(State { tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Session {
    fn take(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("Session")?;
        if saved.rng != self.rng {
            return Err(Error::state("Session", "the random stream of the same seed", "another one"));
        }
        self.team.restore(&pick(state, "team/", &saved.team)?)?;
        self.pool.restore(&pick(state, "pool/", &saved.pool)?)?;
        self.method.restore(&pick(state, "method/", &saved.method)?)?;
        self.gate.restore(&pick(state, "gate/", &saved.gate)?)?;
        (self.at, self.history) = (saved.at, saved.history);
        Ok(())
    }
}

/// What the gate remembers of a round.
fn parts(team: &Team, pool: &Pool, method: &dyn Method) -> Result<State> {
    let mut tensors = Named::default();
    let values = [
        keep(&mut tensors, "team/", team.save()?)?,
        keep(&mut tensors, "pool/", pool.save()?)?,
        keep(&mut tensors, "method/", method.save()?)?,
    ];
    Ok(State { tensors, ..State::of(&values)? })
}
