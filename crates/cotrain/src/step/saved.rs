//! Saving and restoring a step: optimizers, scalarizer and the count of steps. The model's parameters are saved
//! beside it, by [`Params::tensors`](taskweave_heads::Params::tensors).

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Rng, State, Stateful};

use super::Step;
use crate::nested::{keep, pick};

#[derive(Serialize, Deserialize)]
struct Saved {
    done: u64,
    rng: Rng,
    optimizers: Named<serde_json::Value>,
    scalarizer: serde_json::Value,
    #[serde(default)]
    aggregator: Option<serde_json::Value>,
}

/// A saved state fits a step with the same optimizers, the same blocks, an aggregator or none, and the same random stream.
impl Stateful for Step {
    fn save(&self) -> Result<State> {
        let mut tensors = Named::default();
        let mut optimizers = Named::default();
        for (block, optimizer) in self.optimizers.iter() {
            optimizers
                .insert(block, keep(&mut tensors, &format!("optimizer/{block}/"), optimizer.save()?)?)?;
        }
        let scalarizer = keep(&mut tensors, "scalarizer/", self.scalarizer.save()?)?;
        let aggregator = match &self.aggregation {
            Some(aggregation) => Some(keep(&mut tensors, "aggregator/", aggregation.aggregator.save()?)?),
            None => None,
        };
        let saved = Saved { done: self.done, rng: self.rng.clone(), optimizers, scalarizer, aggregator };
        Ok(State { tensors, ..State::of(&saved)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let before = self.save()?;
        self.take(state).or_else(|error| {
            self.take(&before)?;
            Err(error)
        })
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
        self.scalarizer.restore(&pick(state, "scalarizer/", &saved.scalarizer)?)?;
        match (&mut self.aggregation, &saved.aggregator) {
            (Some(aggregation), Some(values)) => {
                aggregation.aggregator.restore(&pick(state, "aggregator/", values)?)?;
            }
            (None, None) => {}
            (Some(_), None) => return Err(Error::state("step", "an aggregator", "none")),
            (None, Some(_)) => return Err(Error::state("step", "no aggregator", "one")),
        }
        self.done = saved.done;
        Ok(())
    }
}
