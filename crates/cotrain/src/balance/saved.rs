//! Saving and restoring a balance: the scalarizer, the method, and the weights that are in use.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskweave_kernels::{Error, Result, State, Stateful};

use super::rows::Last;
use super::{Balance, Gradients};
use crate::parts::{all_or_nothing, keep, pick};

#[derive(Serialize, Deserialize)]
struct Saved {
    record: Value,
    scalarizer: Value,
    method: Value,
    last: Option<Last>,
}

/// A saved state fits a balance with an equal record.
impl Stateful for Balance {
    fn save(&self) -> Result<State> {
        let mut state = State::default();
        let scalarizer = keep(&mut state.tensors, "scalarizer/", self.scalarizer.save()?)?;
        let method = match &self.gradients {
            Gradients::None => State::default(),
            Gradients::Parameters(method) | Gradients::Representation(method) => method.save()?,
            Gradients::Samples(method) => method.save()?,
        };
        let method = keep(&mut state.tensors, "method/", method)?;
        let saved = Saved { record: self.record(), scalarizer, method, last: self.last.clone() };
        Ok(State { tensors: state.tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Balance {
    fn take(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("balance")?;
        if saved.record != self.record() {
            return Err(Error::state("balance", self.record().to_string(), saved.record));
        }
        self.scalarizer.restore(&pick(state, "scalarizer/", &saved.scalarizer)?)?;
        let method = pick(state, "method/", &saved.method)?;
        match &mut self.gradients {
            Gradients::None => {}
            Gradients::Parameters(of) | Gradients::Representation(of) => of.restore(&method)?,
            Gradients::Samples(of) => of.restore(&method)?,
        }
        self.last = saved.last;
        Ok(())
    }
}
