//! COREG: a regressor teaches the other what most lowers its own error.
//!
//! Per round: a window is filled up from the unlabeled samples; for each learner j in turn and each x of the window, with
//! ŷ = h_j(x), Ω the neighbors of x among the samples that j learned from, and h'_j what j would be with (x, ŷ) as well,
//!     Δ(x) = Σ_{i ∈ Ω} (yᵢ − h_j(xᵢ))² − (yᵢ − h'_j(xᵢ))².
//! The x with the largest Δ > 0 and its ŷ join the samples of the other learner. Ends where no Δ is above 0.
//! Together they say the mean. Cost: one trial lesson per sample of the window, learner and round.
//! Variants: any two learners of values (the paper has k-NN, where the trial is cheap); a sample of Ω is its own neighbor,
//! as in common code.
//! Reference: Zhou and Li, "Semi-Supervised Regression with Co-Training", IJCAI 2005, table 1.

use taskweave_kernels::{Error, Result};

use super::{Method, Room, Team, Turn};
use crate::learner::{Answers, Lesson, Matrix, nearest};
use crate::pool::{Pool, Proposal};
use crate::stateless::stateless;

/// Co-training of two regressors.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `neighbors` | 5 | ≥ 1 | samples in Ω |
/// | `orders` | 2, 5 | ≥ 1 | orders of the Minkowski distance in which each learner's neighbors are near |
/// | `window` | 50 | ≥ 1 | unlabeled samples that are tried per round |
///
/// The paper's number of rounds is 100.
///
/// # Example
/// [`CoTraining`](super::CoTraining) has one of a session; this one takes two learners of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Coreg {
    neighbors: usize,
    orders: [f64; 2],
    window: usize,
}

impl Coreg {
    /// With so many neighbors, near by distances of these orders, and so many samples tried per round.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range.
    pub fn new(neighbors: usize, orders: [f64; 2], window: usize) -> Result<Self> {
        for (name, count) in [("neighbors", neighbors), ("window", window)] {
            if count == 0 {
                return Err(Error::parameter(name, "at least 1", 0));
            }
        }
        match orders.iter().find(|order| !(order.is_finite() && **order >= 1.0)) {
            Some(order) => Err(Error::parameter("order", "a finite number ≥ 1", order)),
            None => Ok(Self { neighbors, orders, window }),
        }
    }

    /// The proposal of one learner, if any lowers its error.
    fn best(
        &self,
        room: &mut Room<'_>,
        (name, order): (&str, f64),
        window: &[usize],
    ) -> Result<Option<Proposal>> {
        let lesson = room.pool.lesson(name)?;
        let said = room.team.predict_by(name, room.views, window)?;
        let view = room.views.require(&room.team.members().require("learner", name)?.view)?;
        let known = lesson.samples().iter().map(|&sample| view.row(sample)).collect::<Result<Vec<_>>>()?;
        let mut best: Option<(f64, Proposal)> = None;
        for (&sample, guess) in window.iter().zip(said.iter()) {
            let near = nearest(known.iter().copied(), view.row(sample)?, (self.neighbors, order));
            let samples: Vec<usize> = near.iter().map(|&place| lesson.samples()[place]).collect();
            let targets = near.iter().map(|&place| Ok(lesson.targets().row(place)?[0]));
            let targets = targets.collect::<Result<Vec<_>>>()?;
            let before = error(&room.team.predict_by(name, room.views, &samples)?, &targets);
            let trial = lesson.clone().and(&[sample], &Matrix::new(1, 1, guess.to_vec())?, &[1.0])?;
            let after = error(&room.team.trial(name, room.views, (&trial, &samples))?, &targets);
            let gain = before - after;
            if gain > best.as_ref().map_or(0.0, |(most, _)| *most) {
                let proposal = Proposal { sample, label: guess[0], confidence: gain, by: vec![name.into()] };
                best = Some((gain, proposal));
            }
        }
        Ok(best.map(|(_, proposal)| proposal))
    }
}

impl Default for Coreg {
    fn default() -> Self {
        Self { neighbors: 5, orders: [2.0, 5.0], window: 50 }
    }
}

impl Method for Coreg {
    fn check(&self, team: &Team, pool: &Pool) -> Result<()> {
        if pool.answers() != Answers::Value {
            return Err(Error::parameter("labels", "values", "classes"));
        }
        match team.members().len() {
            2 => Ok(()),
            other => Err(Error::parameter("learners", "two", other)),
        }
    }

    fn prepare(&mut self, room: &mut Room<'_>) -> Result<Turn> {
        room.pool.replenish(self.window, &room.rng);
        let names: Vec<String> = room.team.members().names().map(String::from).collect();
        let mut turn = Turn::Over;
        for (place, name) in names.iter().enumerate() {
            let window = room.pool.window().to_vec();
            let other = names.iter().find(|other| *other != name);
            if let Some(proposal) = self.best(room, (name, self.orders[place % 2]), &window)? {
                room.pool.add(&[proposal], room.round, other.map(String::as_str))?;
                turn = Turn::Learn;
            }
        }
        Ok(turn)
    }

    fn lesson(&self, room: &Room<'_>, learner: &str) -> Result<Option<Lesson>> {
        room.pool.lesson(learner).map(Some)
    }
}

// All that changes is in the pool.
stateless!(Coreg);

fn error(said: &Matrix, targets: &[f64]) -> f64 {
    said.values().iter().zip(targets).map(|(said, target)| (said - target).powi(2)).sum()
}
