//! What of a training is saved: in a checkpoint, and by a gate that may go back to it.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful, ops};

use super::Trainer;
use super::fit::Position;
use crate::gate::EpochGate;
use crate::parts::{keep, pick};
use crate::run::BEST;
use crate::{Checkpoint, Step};

/// What the names of the protocol's tensors begin with, among those of the state.
const PROTOCOL: &str = "protocol/";
/// What the names of the teachings' tensors begin with, likewise.
const TEACHINGS: &str = "teachings/";
/// What the names of the gate's tensors begin with, likewise.
const GATE: &str = "gate/";
/// What the names of the parameters begin with, among what the gate remembers.
const MODEL: &str = "model/";

/// The host values of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Saved<P> {
    position: P,
    #[serde(flatten)]
    parts: Parts,
    #[serde(default)]
    gate: Option<serde_json::Value>,
}

/// The host values of all that a later step depends on, beside the parameters.
#[derive(Serialize, Deserialize)]
struct Parts {
    rate: serde_json::Value,
    step: serde_json::Value,
    #[serde(default)]
    protocol: serde_json::Value,
    #[serde(default)]
    teachings: Option<serde_json::Value>,
}

impl Trainer {
    pub(super) fn save(&self, step: &Step, at: &Position) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        for (name, param) in step.params().named().iter() {
            if !ops::all_finite(&param.var)? {
                return Err(Error::non_finite("parameter", name).at(step.done()));
            }
        }
        let mut tensors = Named::default();
        let parts = self.parts(step, &mut tensors)?;
        for (name, tensor) in at.best.tensors.iter() {
            tensors.insert(format!("{BEST}{name}"), tensor.clone())?;
        }
        let gate = self.gate.as_ref().map(|gate| keep(&mut tensors, GATE, gate.save()?)).transpose()?;
        let state = State { tensors, ..State::of(&Saved { position: at, parts, gate })? };
        checkpoints.save(step.done(), &Checkpoint { model: step.params().tensors(), state })
    }

    pub(super) fn resume(&mut self, step: &mut Step) -> Result<Position> {
        let fresh = Position { base: step.base_rate(), data: self.data(), ..Position::default() };
        let Some(checkpoints) = &self.checkpoints else { return Ok(fresh) };
        let Some(Checkpoint { model, state }) = checkpoints.latest()? else { return Ok(fresh) };
        let saved: Saved<Position> = state.read("training")?;
        let mut position = saved.position;
        if position.data != self.data() {
            let (expected, found) = (format!("{:?}", self.data()), format!("{:?}", position.data));
            return Err(Error::state("training", expected, found));
        }
        step.params().load(&model)?;
        self.restore_gate(saved.gate, &state)?;
        position.best.tensors = pick(&state, BEST, &serde_json::Value::Null)?.tensors;
        self.restore_parts(step, saved.parts, state)?;
        Ok(position)
    }

    /// What a gate remembers of an epoch: copies, since the training goes on.
    pub(super) fn remembered(&self, step: &Step) -> Result<State> {
        let mut tensors = Named::default();
        let parts = self.parts(step, &mut tensors)?;
        for (name, tensor) in step.params().tensors().iter() {
            tensors.insert(format!("{MODEL}{name}"), tensor.clone())?;
        }
        let tensors = tensors.try_map(|_, tensor| tensor.copy())?;
        Ok(State { tensors, ..State::of(&parts)? })
    }

    /// The epoch that the gate goes back to, where worse ones followed it.
    pub(super) fn go_back(&mut self, step: &mut Step) -> Result<Option<u64>> {
        let Some((epoch, state)) = self.gate.as_ref().and_then(EpochGate::way_back) else { return Ok(None) };
        let state = state.clone();
        step.params().load(&pick(&state, MODEL, &serde_json::Value::Null)?.tensors)?;
        self.restore_parts(step, state.read("an epoch")?, state)?;
        Ok(Some(epoch))
    }

    /// The values of the parts; their tensors are put among the others.
    fn parts(&self, step: &Step, tensors: &mut Named<Tensor>) -> Result<Parts> {
        Ok(Parts {
            rate: self.rate.save()?.values,
            // A step knows its own tensors by their names.
            step: keep(tensors, "", step.save()?)?,
            protocol: keep(tensors, PROTOCOL, self.protocol.save()?)?,
            teachings: match &self.teachings {
                Some(teachings) => Some(keep(tensors, TEACHINGS, teachings.save()?)?),
                None => None,
            },
        })
    }

    fn restore_parts(&mut self, step: &mut Step, parts: Parts, state: State) -> Result<()> {
        self.protocol.restore(&pick(&state, PROTOCOL, &parts.protocol)?)?;
        self.rate.restore(&State { values: parts.rate, tensors: Named::default() })?;
        self.restore_teachings(parts.teachings, &state)?;
        step.restore(&State { values: parts.step, ..state })
    }

    fn restore_gate(&mut self, values: Option<serde_json::Value>, state: &State) -> Result<()> {
        match (&mut self.gate, values) {
            (Some(gate), Some(values)) => gate.restore(&pick(state, GATE, &values)?),
            (None, None) => Ok(()),
            (Some(_), None) => Err(Error::state("training", "a gate", "none")),
            (None, Some(_)) => Err(Error::state("training", "no gate", "one")),
        }
    }

    fn restore_teachings(&mut self, values: Option<serde_json::Value>, state: &State) -> Result<()> {
        match (&mut self.teachings, values) {
            (Some(teachings), Some(values)) => teachings.restore(&pick(state, TEACHINGS, &values)?),
            (None, None) => Ok(()),
            (Some(_), None) => Err(Error::state("training", "teachings", "none")),
            (None, Some(_)) => Err(Error::state("training", "no teachings", "some")),
        }
    }
}
