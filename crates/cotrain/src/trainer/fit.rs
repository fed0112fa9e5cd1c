//! Epochs, validation, checkpoints, resuming.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use taskweave_data::{Batch, Last};
use taskweave_kernels::{Error, Named, Result, State, Stateful, ops};

use super::builder::{Cosines, Unit};
use super::early_stopping::Best;
use super::history::Sums;
use super::judges::Judges;
use super::{Control, EpochRecord, History, Trainer, Upcoming};
use crate::gate::{EpochGate, Verdict};
use crate::parts::{keep, pick};
use crate::protocol::Batches;
use crate::run::BEST;
use crate::teaching::Teachings;
use crate::{Checkpoint, Step};

/// What the names of the protocol's tensors begin with, among those of the state.
const PROTOCOL: &str = "protocol/";
/// What the names of the teachings' tensors begin with, among the tensors of the state.
const TEACHINGS: &str = "teachings/";
/// What the names of the gate's tensors begin with, likewise.
const GATE: &str = "gate/";
/// What the names of the parameters begin with, among what the gate remembers.
const MODEL: &str = "model/";

/// Where a training is.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    base: f64,
    epoch: u64,
    batch: usize,
    steps: u64,
    data: Data,
    sums: Sums,
    history: History,
    best: Best,
    over: bool,
}

/// What of the data has to be equal for a position to mean the same.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Data {
    samples: usize,
    batches: usize,
    accumulate: usize,
    #[serde(default)]
    upper: Option<(usize, usize)>,
    #[serde(default)]
    beside: Option<(usize, usize)>,
}

/// The host values of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Saved<P> {
    position: P,
    rate: serde_json::Value,
    step: serde_json::Value,
    #[serde(default)]
    protocol: serde_json::Value,
    #[serde(default)]
    teachings: Option<serde_json::Value>,
    #[serde(default)]
    gate: Option<serde_json::Value>,
}

impl Trainer {
    /// Trains until the last epoch, or until early stopping or a callback ends it. With checkpoints, goes on
    /// where the newest one was taken: with more epochs than it had, the training gets longer; with no more, the
    /// saved history is returned and nothing is trained. The data has to be the same; its size is checked.
    ///
    /// # Errors
    /// Those of the loaders, of [`Step::step`], of the callbacks and of writing; the newest checkpoint stays as it
    /// is, and starting again resumes from it.
    pub fn fit(&mut self, step: &mut Step) -> Result<History> {
        let mut at = self.resume(step)?;
        let needs = self.protocol.needs();
        let per_epoch = match needs.last {
            Last::Keep => self.train.batches().div_ceil(needs.train),
            Last::Drop => self.train.batches() / needs.train,
        } as u64;
        let left = per_epoch.saturating_mul(self.epochs).saturating_sub(at.steps);
        self.callbacks.iter_mut().try_for_each(|callback| callback.on_start(at.steps, left))?;
        while at.epoch < self.epochs && !at.over {
            self.steps(step, &mut at)?;
            self.end_epoch(step, &mut at)?;
            self.save(step, &at)?;
        }
        // The checkpoint keeps the newest parameters, so that a longer training can go on from it.
        if !at.best.tensors.is_empty() {
            step.params().load(&at.best.tensors)?;
        }
        at.history.returned_to = self.go_back(step)?;
        self.callbacks.iter_mut().try_for_each(|callback| callback.on_end())?;
        Ok(at.history)
    }

    /// The steps of an epoch that are still to come.
    fn steps(&mut self, step: &mut Step, at: &mut Position) -> Result<()> {
        let (device, needs) = (step.params().device().clone(), self.protocol.needs());
        let mut batches = self.train.epoch_from(at.epoch, at.batch);
        let mut judges = Judges::after(self.upper.as_ref(), at.steps, needs.upper);
        loop {
            let train: Vec<Batch> =
                batches.by_ref().take(needs.train).map(|b| b?.to_device(&device)).collect::<Result<_>>()?;
            if train.is_empty() || train.len() < needs.train && needs.last == Last::Drop {
                return Ok(());
            }
            let taken = train.len();
            let upper = judges.next(needs.upper, &device)?;
            let lesson = Instant::now();
            let train = self.prepared(train, at)?;
            let mut seconds = lesson.elapsed().as_secs_f64();
            self.set_rate(step, at)?;
            let upcoming = Upcoming { epoch: at.epoch, batch: at.batch, step: step.done(), batches: &train };
            self.callbacks.iter_mut().try_for_each(|callback| callback.before_step(step, &upcoming))?;
            let start = Instant::now();
            let report = self.protocol.step(step, &Batches { train: &train, upper: &upper })?;
            seconds += start.elapsed().as_secs_f64();
            at.sums.add(&report, seconds)?;
            (at.batch, at.steps) = (at.batch + taken, at.steps + 1);
            self.teachings.iter_mut().try_for_each(|teachings| teachings.after_step(at.steps))?;
            self.callbacks.iter_mut().try_for_each(|callback| callback.on_step(&report))?;
            let due = self.checkpoint_every.is_some_and(|every| at.steps.is_multiple_of(every));
            // The end of the epoch is saved with its validation.
            if due && at.batch < self.train.batches() {
                self.save(step, at)?;
            }
        }
    }

    /// The batches as the methods set them up.
    fn prepared(&mut self, group: Vec<Batch>, at: &Position) -> Result<Vec<Batch>> {
        let first = at.epoch * self.train.batches() as u64 + at.batch as u64;
        let Some(teachings) = &mut self.teachings else { return Ok(group) };
        let numbered = group.into_iter().zip(first..);
        numbered.map(|(batch, number)| teachings.prepare(batch, at.steps, number)).collect()
    }

    fn end_epoch(&mut self, step: &mut Step, at: &mut Position) -> Result<()> {
        let mut record = at.sums.record(at.epoch, step.done(), step.rate());
        if let Some(valid) = &self.valid {
            record.valid = step.evaluate(valid, &mut self.metrics)?;
        }
        if self.cosines == Cosines::PerEpoch {
            record.cosines = self.cosines_of(step, at.epoch)?;
        }
        step.end_epoch(&record.train)?;
        let monitored = self.monitored(&record)?;
        self.rate.observe(self.time(at), monitored);
        if let Some(rule) = self.early_stopping {
            at.best.take(rule, monitored, || step.params().tensors().try_map(|_, t| Ok(t.copy()?)))?;
            at.over |= at.best.is_over(rule);
        }
        if let Some(gate) = &mut self.gate {
            let teachings = self.teachings.as_ref();
            let decision = gate.judge(at.epoch, || remembered(step, teachings))?;
            at.over |= decision.verdict == Verdict::Stopped;
            record.decision = Some(decision);
        }
        for callback in &mut self.callbacks {
            at.over |= callback.on_epoch(&record)? == Control::Stop;
        }
        at.history.epochs.push(record);
        (at.epoch, at.batch, at.sums) = (at.epoch + 1, 0, Sums::default());
        Ok(())
    }

    fn monitored(&self, record: &EpochRecord) -> Result<f64> {
        match record.valid.is_empty() {
            true => Ok(record.train.values().sum()),
            false => self.monitor.of(record),
        }
    }

    fn cosines_of(&self, step: &Step, epoch: u64) -> Result<Option<Named<Named<f64>>>> {
        let Some(batch) = self.train.epoch(epoch).next() else { return Ok(None) };
        let gramian = step.gramian(&batch?.to_device(step.params().device())?)?;
        let names = || gramian.tasks().map(String::from);
        let rows = gramian.cosines().into_iter().map(|row| Named::new(names().zip(row)));
        Ok(Some(Named::new(names().zip(rows.collect::<Result<Vec<_>>>()?))?))
    }

    /// The time of the rate's schedule.
    fn time(&self, at: &Position) -> u64 {
        match self.unit {
            Unit::Epoch => at.epoch,
            Unit::Step => at.steps,
        }
    }

    fn set_rate(&self, step: &mut Step, at: &Position) -> Result<()> {
        step.schedule_rate(self.rate.rate(at.base, self.time(at)))
    }

    fn save(&self, step: &Step, at: &Position) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        for (name, param) in step.params().named().iter() {
            if !ops::all_finite(&param.var)? {
                return Err(Error::non_finite("parameter", name).at(step.done()));
            }
        }
        let State { values, mut tensors } = step.save()?;
        for (name, tensor) in at.best.tensors.iter() {
            tensors.insert(format!("{BEST}{name}"), tensor.clone())?;
        }
        let protocol = keep(&mut tensors, PROTOCOL, self.protocol.save()?)?;
        let teachings = match &self.teachings {
            Some(teachings) => Some(keep(&mut tensors, TEACHINGS, teachings.save()?)?),
            None => None,
        };
        let gate = self.gate.as_ref().map(|gate| keep(&mut tensors, GATE, gate.save()?)).transpose()?;
        let rate = self.rate.save()?.values;
        let saved = Saved { position: at, rate, step: values, protocol, teachings, gate };
        let state = State { tensors, ..State::of(&saved)? };
        checkpoints.save(step.done(), &Checkpoint { model: step.params().tensors(), state })
    }

    fn data(&self) -> Data {
        let (samples, batches) = (self.train.samples(), self.train.batches());
        let upper = self.upper.as_ref().map(|upper| (upper.samples(), upper.batches()));
        let beside = self.teachings.as_ref().and_then(Teachings::size);
        Data { samples, batches, accumulate: self.protocol.needs().train, upper, beside }
    }

    fn resume(&mut self, step: &mut Step) -> Result<Position> {
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
        self.protocol.restore(&pick(&state, PROTOCOL, &saved.protocol)?)?;
        self.rate.restore(&State { values: saved.rate, tensors: Named::default() })?;
        self.restore_teachings(saved.teachings, &state)?;
        self.restore_gate(saved.gate, &state)?;
        position.best.tensors = pick(&state, BEST, &serde_json::Value::Null)?.tensors;
        // A step knows its own tensors by their names.
        step.restore(&State { values: saved.step, ..state })?;
        Ok(position)
    }

    /// The epoch that the gate goes back to, where worse ones followed it.
    fn go_back(&mut self, step: &Step) -> Result<Option<u64>> {
        let Some((epoch, state)) = self.gate.as_ref().and_then(EpochGate::way_back) else { return Ok(None) };
        let state = state.clone();
        step.params().load(&pick(&state, MODEL, &serde_json::Value::Null)?.tensors)?;
        self.restore_teachings(state.read("an epoch")?, &state)?;
        Ok(Some(epoch))
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

/// What a gate remembers of an epoch: copies, since the training goes on.
fn remembered(step: &Step, teachings: Option<&Teachings>) -> Result<State> {
    let mut tensors = Named::default();
    for (name, tensor) in step.params().tensors().iter() {
        tensors.insert(format!("{MODEL}{name}"), tensor.copy()?)?;
    }
    let keep_copy = |teachings: &Teachings| {
        let state = teachings.save()?;
        let copies = state.tensors.try_map(|_, tensor| tensor.copy())?;
        keep(&mut tensors, TEACHINGS, State { tensors: copies, ..state })
    };
    let values = teachings.map(keep_copy).transpose()?;
    Ok(State { tensors, ..State::of(&values)? })
}
