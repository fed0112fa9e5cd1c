//! The step itself, over one batch or several as one.

use candle_core::DType;
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::autograd::{self, Gradient};
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result, Rng, Stateful};
use taskweave_loss::Gramian;
use taskweave_loss::scalarizer::Feedback;

use super::accumulate::share;
use super::gradients::scalar;
use super::rows::OnTape;
use super::{Step, StepReport, block};
use crate::balance::Rows;

impl Step {
    /// Trains on one batch.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the view, or the task and the step, for a NaN or an infinity in an input, a loss,
    /// a weight or a gradient; [`Error::Shape`] and [`Error::DType`] for a target that does not fit; [`Error::Unknown`]
    /// for a task that the model does not have. Parameters, balance and count of steps are as before then; only running
    /// statistics may have seen the batch. Where a scalarizer asks for the losses after the step and those are not
    /// finite, the step is done, and the scalarizer has not heard of it.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport> {
        self.step_over(std::slice::from_ref(batch))
    }

    /// Trains on several batches as if they were one: the gradient is that of the large batch, for any
    /// balance that can be told from sums, while only one of them is in memory at a time. Each batch may have labels for
    /// other tasks, or for one task alone, whose loss is the weighted mean over all batches that have it.
    ///
    /// Two or more batches cost one backward pass per task each, because the weights of the tasks depend on the
    /// losses of all of them. Layers that look across samples, such as batch normalization, still see each
    /// batch by itself.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Parameter`] for no batch at all, for several where samples are balanced or an
    /// aggregator looks at the features' gradients themselves, and where representation gradients are balanced of
    /// tasks that no batch has together.
    pub fn step_over(&mut self, batches: &[Batch]) -> Result<StepReport> {
        let now = self.done;
        self.attempt(batches).map_err(|error| error.at(now))
    }

    /// The Gramian of the tasks' gradients with respect to the shared parameters, in evaluation mode: nothing
    /// changes.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn gramian(&self, batch: &Batch) -> Result<Gramian> {
        let tasks = self.present(batch)?;
        let (pass, tape) = autograd::record(|| self.pass(batch, &tasks, Mode::Eval, None))?;
        let mut shared = Named::default();
        for (name, param) in self.params.named() {
            if param.owner == Owner::Shared && param.kind.is_trained() {
                shared.insert(name, param)?;
            }
        }
        let products = OnTape::new(&tape, &pass.losses, &shared).products()?;
        Gramian::of_products(pass.losses.names(), &products)
    }

    /// The learning rate of all blocks, as it stands.
    pub fn rate(&self) -> f64 {
        self.optimizers.values().next().map_or(0.0, |optimizer| optimizer.rate())
    }

    /// Sets the learning rate of all blocks; it is also the base of a trainer's schedule from then on.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate that is negative or not finite.
    pub fn set_rate(&mut self, rate: f64) -> Result<()> {
        self.schedule_rate(rate)?;
        self.base = rate;
        Ok(())
    }

    /// The learning rate that a schedule starts from: the optimizer's, or what was set since.
    pub(crate) fn base_rate(&self) -> f64 {
        self.base
    }

    /// Sets the learning rate as it stands, and leaves the base of a schedule.
    pub(crate) fn schedule_rate(&mut self, rate: f64) -> Result<()> {
        self.optimizers.values_mut().try_for_each(|optimizer| optimizer.set_rate(rate))
    }

    fn attempt(&mut self, batches: &[Batch]) -> Result<StepReport> {
        let held = self.schedule.held(self.done, &self.tasks);
        let tasks = self.chosen(batches)?;
        let mut report = StepReport {
            step: self.done,
            samples: batches.iter().map(Batch::len).sum(),
            losses: Named::default(),
            value: 0.0,
            weights: Named::default(),
            aggregated: None,
            sample_weights: None,
            gradient_norm: 0.0,
            held,
        };
        let mut heard = Ok(());
        if !tasks.is_empty() {
            let gradients = self.keeping_balance(|step| step.gradients(batches, &tasks, &mut report))?;
            self.update(gradients)?;
            heard = self.hear(batches, &tasks);
        }
        self.done += 1;
        heard.map(|()| report)
    }

    /// The gradient of every parameter that learns; running statistics of a held block stay.
    fn gradients(
        &mut self,
        batches: &[Batch],
        tasks: &[String],
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        let held = report.held.clone();
        self.keeping_buffers(
            |param| Some(&param.owner) == held.as_ref(),
            |step| match batches {
                [batch] => step.direct(batch, tasks, report),
                _ => step.accumulated(batches, tasks, report),
            },
        )
    }

    /// Runs `f`; where it fails, the balance is as it was before.
    fn keeping_balance<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.balance.save()?;
        let result = f(self);
        if result.is_err() {
            self.balance.restore(&before)?;
        }
        result
    }

    pub(super) fn update(&mut self, gradients: Named<Gradient>) -> Result<()> {
        let params = self.params.named();
        let mut blocks: Named<Named<Gradient>> = self.optimizers.map(|_, _| Named::default());
        for (name, gradient) in gradients {
            let block = params.get(&name).map_or_else(|| "objective".into(), |param| block(&param.owner));
            blocks.require_mut("block", &block)?.insert(name, gradient)?;
        }
        for (optimizer, gradients) in self.optimizers.values_mut().zip(blocks.values()) {
            optimizer.step(gradients)?;
        }
        Ok(())
    }

    /// Tells a scalarizer that asks for them the losses after the step, by a second forward pass that leaves the
    /// running statistics as they are.
    fn hear(&mut self, batches: &[Batch], tasks: &[String]) -> Result<()> {
        if self.balance.scalarizer_mut().feedback() == Feedback::None {
            return Ok(());
        }
        let losses = self.keeping_buffers(|_| true, |step| step.losses_again(batches, tasks))?;
        self.balance.scalarizer_mut().after_step(&losses)
    }

    /// The losses of several batches as if they were one, in training mode.
    fn losses_again(&self, batches: &[Batch], tasks: &[String]) -> Result<Named<f64>> {
        let totals = self.weights(batches, tasks)?;
        let mut losses = totals.map(|_, _| 0.0);
        for (i, batch) in batches.iter().enumerate() {
            let (present, rng) = (self.learners(batch, tasks)?, self.part_rng(i));
            let weights = self.weights(std::slice::from_ref(batch), &present)?;
            let pass = autograd::no_grad(|| self.pass(batch, &present, Mode::Train(&rng), None))?;
            for (task, loss) in pass.losses.iter() {
                *losses.require_mut("task", task)? += share(&weights, &totals, task)? * scalar(loss)?;
            }
        }
        Ok(losses)
    }

    /// Runs `f`, and gives the buffers that `which` selects the values back that they had before.
    pub(super) fn keeping_buffers<T>(
        &mut self,
        which: impl Fn(&Param) -> bool,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut buffers = Vec::new();
        for param in self.params.named().values().filter(|p| p.kind == Kind::Buffer && which(p)) {
            buffers.push((param.var.clone(), param.var.copy()?));
        }
        let result = f(self);
        buffers.iter().try_for_each(|(var, before)| var.set(before))?;
        result
    }

    /// The tasks of a batch that learn at this step.
    pub(super) fn learners(&self, batch: &Batch, tasks: &[String]) -> Result<Vec<String>> {
        Ok(self.present(batch)?.into_iter().filter(|task| tasks.contains(task)).collect())
    }

    /// The random stream of one of a step's batches; a single batch has that of the step.
    pub(super) fn part_rng(&self, part: usize) -> Rng {
        if part == 0 { self.step_rng() } else { self.step_rng().fork_at(part as u64) }
    }

    /// The tasks that learn at this step.
    fn chosen(&self, batches: &[Batch]) -> Result<Vec<String>> {
        if batches.is_empty() {
            return Err(Error::parameter("batches of a step", "at least one", 0));
        }
        let mut present = Vec::new();
        for batch in batches {
            present.extend(self.present(batch)?);
        }
        let present = self.tasks.iter().filter(|task| present.contains(task)).cloned().collect();
        self.sampling.choose(present, &mut self.step_rng().fork("tasks"))
    }

    /// The sum of the samples' weights, per task.
    pub(super) fn weights(&self, batches: &[Batch], tasks: &[String]) -> Result<Named<f64>> {
        let mut sums = Named::new(tasks.iter().map(|task| (task.clone(), 0.0)))?;
        for (task, target) in batches.iter().flat_map(|batch| batch.targets.iter()) {
            if let Some(sum) = sums.get_mut(task) {
                let weight = self.criteria.require("task", task)?.weight(target)?;
                *sum += weight.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
            }
        }
        Ok(sums)
    }
}
