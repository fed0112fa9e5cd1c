//! Saving and restoring a step: optimizers, balance and the count of steps. The model's parameters are saved
//! beside it, by [`Params::tensors`](taskweave_heads::Params::tensors).

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};

use super::Step;
use crate::parts::{all_or_nothing, keep, pick};

#[derive(Serialize, Deserialize)]
struct Saved {
    done: u64,
    rng: Rng,
    optimizers: Named<serde_json::Value>,
    balance: serde_json::Value,
}

/// A saved state fits a step with the same optimizers, the same blocks, an equal balance and the same random stream.
impl Stateful for Step {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let mut optimizers = Named::default();
        for (block, optimizer) in self.optimizers.iter() {
            optimizers
                .insert(block, keep(&mut tensors, &format!("optimizer/{block}/"), optimizer.save()?)?)?;
        }
        let balance = keep(&mut tensors, "balance/", self.balance.save()?)?;
        let saved = Saved { done: self.done, rng: self.rng.clone(), optimizers, balance };
        Ok(State { tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        all_or_nothing(self, state, Self::take)
    }
}

impl Step {
    fn take(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("step")?;
        if saved.rng != self.rng {
            return Err(Error::state("step", "the random stream of the same seed", "another one"));
        }
        let blocks = |names: &Named<serde_json::Value>| names.names().collect::<Vec<_>>().join(", ");
        if !saved.optimizers.names().eq(self.optimizers.names()) {
            let expected = self.optimizers.names().collect::<Vec<_>>().join(", ");
            return Err(Error::state("step", format!("the blocks {expected}"), blocks(&saved.optimizers)));
        }
        for ((block, optimizer), values) in self.optimizers.iter_mut().zip(saved.optimizers.values()) {
            optimizer.restore(&pick(state, &format!("optimizer/{block}/"), values)?)?;
        }
        self.balance.restore(&pick(state, "balance/", &saved.balance)?)?;
        self.done = saved.done;
        Ok(())
    }
}
