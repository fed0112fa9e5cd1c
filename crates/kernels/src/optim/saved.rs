//! Saving and restoring an optimizer.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::optimizer::Entry;
use super::{Group, Optimizer};
use crate::{Error, Named, Result, State, Stateful};

/// The host values of an optimizer.
#[derive(Serialize, Deserialize)]
struct Saved {
    rule: String,
    config: serde_json::Value,
    rate: f64,
    parameters: Named<Progress>,
}

/// The host values of one parameter.
#[derive(Clone, Serialize, Deserialize)]
struct Progress {
    steps: u64,
    group: Group,
}

/// The values of the parameters are not part of it: they are saved with the model. The slots are saved as `<parameter>.<slot>`. A saved state fits an optimizer with the same rule, the same
/// parameters of that rule and the same groups; the learning rate that was set is part of the state.
impl Stateful for Optimizer {
    fn save(&self) -> Result<State> {
        let progress = |_: &str, entry: &Entry| Progress { steps: entry.steps, group: entry.group };
        let mut state = State::of(&Saved {
            rule: self.identity.name.into(),
            config: self.identity.config.clone(),
            rate: self.rate,
            parameters: self.entries.map(progress),
        })?;
        for (name, entry) in self.entries.iter() {
            for (slot, tensor) in self.identity.slots.iter().zip(&entry.slots) {
                // A copy, because the next step changes the slot in place.
                state.tensors.insert(format!("{name}.{slot}"), tensor.force_contiguous()?)?;
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("optimizer")?;
        self.require_same_rule(&saved)?;
        self.require_same_parameters(&saved.parameters)?;
        let count = self.entries.len() * self.identity.slots.len();
        if state.tensors.len() != count {
            return Err(Error::state("optimizer", format!("{count} tensors"), state.tensors.len()));
        }
        let slots = self.entries.try_map(|name, _| self.restored_slots(name, state))?;
        self.rate = saved.rate;
        for ((entry, (_, slots)), (_, progress)) in self.entries.values_mut().zip(slots).zip(saved.parameters)
        {
            (entry.slots, entry.steps) = (slots, progress.steps);
        }
        Ok(())
    }
}

impl Optimizer {
    fn require_same_rule(&self, saved: &Saved) -> Result<()> {
        let identity = &self.identity;
        if saved.rule != identity.name || saved.config != identity.config {
            let expected = format!("{} {}", identity.name, identity.config);
            return Err(Error::state("optimizer", expected, format!("{} {}", saved.rule, saved.config)));
        }
        if !(saved.rate.is_finite() && saved.rate >= 0.0) {
            return Err(Error::state("optimizer", "a finite learning rate ≥ 0", saved.rate));
        }
        Ok(())
    }

    fn require_same_parameters(&self, saved: &Named<Progress>) -> Result<()> {
        if !self.entries.names().eq(saved.names()) {
            let names: Vec<_> = self.entries.names().collect();
            let found: Vec<_> = saved.names().collect();
            return Err(Error::state("optimizer", format!("parameters {names:?}"), format!("{found:?}")));
        }
        for ((name, entry), saved) in self.entries.iter().zip(saved.values()) {
            if entry.group != saved.group {
                let what = format!("optimizer, parameter `{name}`");
                return Err(Error::state(what, format!("{:?}", entry.group), format!("{:?}", saved.group)));
            }
        }
        Ok(())
    }

    fn restored_slots(&self, name: &str, state: &State) -> Result<Vec<Tensor>> {
        let var = &self.entries.require("parameter", name)?.var;
        let restored = |slot: &&str| {
            let key = format!("{name}.{slot}");
            let missing = || Error::state(&key, "a saved tensor", "none");
            let saved = state.tensors.get(&key).ok_or_else(missing)?;
            if saved.dims() != var.dims() || saved.dtype() != var.dtype() {
                let expected = format!("{:?} {:?}", var.dtype(), var.dims());
                return Err(Error::state(key, expected, format!("{:?} {:?}", saved.dtype(), saved.dims())));
            }
            Ok(saved.to_device(var.device())?.force_contiguous()?)
        };
        self.identity.slots.iter().map(restored).collect()
    }
}
