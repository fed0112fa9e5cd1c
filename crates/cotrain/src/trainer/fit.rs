//! Epochs, validation, when it is over.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use taskweave_data::{Batch, Last};
use taskweave_kernels::{Named, Result};

use super::builder::{Cosines, Unit};
use super::early_stopping::Best;
use super::history::Sums;
use super::judges::Judges;
use super::{Control, EpochRecord, History, Trainer, Upcoming};
use crate::Step;
use crate::gate::{Decision, Verdict};
use crate::protocol::Batches;
use crate::teaching::Teachings;

/// Where a training is.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) base: f64,
    pub(super) epoch: u64,
    pub(super) batch: usize,
    pub(super) steps: u64,
    pub(super) data: Data,
    pub(super) sums: Sums,
    pub(super) history: History,
    pub(super) best: Best,
    pub(super) over: bool,
}

/// What of the data has to be equal for a position to mean the same.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    samples: usize,
    batches: usize,
    accumulate: usize,
    #[serde(default)]
    upper: Option<(usize, usize)>,
    #[serde(default)]
    beside: Option<(usize, usize)>,
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
        record.decision = self.judge(step, at.epoch)?;
        at.over |= record.decision.as_ref().is_some_and(|decision| decision.verdict == Verdict::Stopped);
        for callback in &mut self.callbacks {
            at.over |= callback.on_epoch(&record)? == Control::Stop;
        }
        at.history.epochs.push(record);
        (at.epoch, at.batch, at.sums) = (at.epoch + 1, 0, Sums::default());
        Ok(())
    }

    fn judge(&mut self, step: &Step, epoch: u64) -> Result<Option<Decision>> {
        let Some(mut gate) = self.gate.take() else { return Ok(None) };
        let decision = gate.judge(epoch, || self.remembered(step));
        self.gate = Some(gate);
        decision.map(Some)
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

    pub(super) fn data(&self) -> Data {
        let (samples, batches) = (self.train.samples(), self.train.batches());
        let upper = self.upper.as_ref().map(|upper| (upper.samples(), upper.batches()));
        let beside = self.teachings.as_ref().and_then(Teachings::size);
        Data { samples, batches, accumulate: self.protocol.needs().train, upper, beside }
    }
}
