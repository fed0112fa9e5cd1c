//! Rotation: groups of terms take turns, such as the networks of an ensemble that share some layers.
//!
//! At step t the terms of group (t / period) mod n learn, and those of the other groups do not. Terms of no group learn
//! at every step. Layers that several networks share learn at every turn; what belongs to one network waits, with
//! the state of its optimizer and its running statistics, until its turn comes.
//! Combined with another method it comes last, so that it has the last word.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use super::{TaughtBatch, Teaching};
use crate::stateless::stateless;
use crate::{Ensemble, Term};

/// Groups of terms take turns.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `turns` | – | at least one group | names of the terms that learn together |
/// | `period` | 1 | ≥ 1 | steps of a turn |
///
/// It has no terms of its own.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::Rotation;
/// let turns = vec![vec!["class@a".to_string()], vec!["class@b".into(), "depth@b".into()]];
/// let rotation = Rotation { turns, period: 10 };
/// assert_eq!([rotation.at(9), rotation.at(10), rotation.at(20)], [0, 1, 0]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Names of the terms that learn together.
    pub turns: Vec<Vec<String>>,
    /// Steps of a turn.
    #[serde(default = "one")]
    pub period: u64,
}

impl Rotation {
    /// The group that learns at a step, counted from 0.
    pub fn at(&self, step: u64) -> usize {
        (step / self.period.max(1) % self.turns.len().max(1) as u64) as usize
    }
}

impl Teaching for Rotation {
    fn terms(&self) -> Result<Named<Term>> {
        if self.turns.is_empty() || self.period == 0 {
            let found = format!("{} groups, {} steps", self.turns.len(), self.period);
            return Err(Error::parameter("turns of a rotation", "at least one group and one step", found));
        }
        Ok(Named::default())
    }

    fn prepare(&mut self, taught: &mut TaughtBatch, ensemble: &Ensemble) -> Result<()> {
        let now = self.turns.get(self.at(taught.step));
        for term in self.turns.iter().flatten() {
            ensemble.terms().require("term of a rotation", term)?;
            if !now.is_some_and(|now| now.contains(term)) {
                taught.forget(term);
            }
        }
        Ok(())
    }
}

stateless!(Rotation);

fn one() -> u64 {
    1
}
