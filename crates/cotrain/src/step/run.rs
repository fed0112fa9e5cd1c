//! The step itself, over one batch or several as one.

use candle_core::{DType, Tensor};
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::autograd::{self, Gradient, Tape};
use taskweave_kernels::optim::IntoGradient;
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result, Rng, ops, weighted_sum};
use taskweave_loss::scalarizer::Feedback;
use taskweave_loss::{Gramian, Jacobian, scalarized};

use super::aggregation::{rows_of, rows_on};
use super::{Step, StepReport, block};

impl Step {
    /// Trains on one batch.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the view, or the task and the step, for a NaN or an infinity in an input, a loss
    /// or a gradient; [`Error::Shape`] and [`Error::DType`] for a target that does not fit; [`Error::Unknown`]
    /// for a task that the model does not have. The parameters are as before then; only running statistics may
    /// have seen the batch.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport> {
        self.step_over(std::slice::from_ref(batch))
    }

    /// Trains on several batches as if they were one: the gradient is that of the large batch, for any
    /// scalarizer, while only one of them is in memory at a time.
    ///
    /// Two or more batches cost one backward pass per task each, because the weights of the tasks depend on the
    /// losses of all of them. Layers that look across samples, such as batch normalization, still see each
    /// batch by itself.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Parameter`] for no batch at all.
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
            if param.owner == Owner::Shared {
                shared.insert(name, param)?;
            }
        }
        Jacobian::on(&tape, &pass.losses, &shared)?.gramian()
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
            gradient_norm: 0.0,
            held,
        };
        if !tasks.is_empty() {
            let held = report.held.clone();
            let gradients = self.keeping_buffers(
                |param| Some(&param.owner) == held.as_ref(),
                |step| match batches {
                    [batch] => step.direct(batch, &tasks, &mut report),
                    _ => step.accumulated(batches, &tasks, &mut report),
                },
            )?;
            self.update(gradients)?;
            self.hear(batches, &tasks)?;
        }
        self.done += 1;
        Ok(report)
    }

    /// One forward and one backward pass.
    fn direct(
        &mut self,
        batch: &Batch,
        tasks: &[String],
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        let rng = self.step_rng();
        let (pass, tape) =
            autograd::record(|| self.pass(batch, tasks, Mode::Train(&rng), report.held.as_ref()))?;
        report.losses = pass.losses.try_map(|_, loss| scalar(loss))?;
        let step = scalarized(&mut *self.scalarizer, &pass.losses)?;
        (report.value, report.weights) = (scalar(&step.value)?, step.weights);
        // What is aggregated is not differentiated twice.
        let learning = self.learning(report.held.as_ref(), self.aggregation.is_some());
        let mut gradients = differentiate(&tape, &step.value, &learning)?;
        let rows = |shared: &_| rows_on(&tape, &pass.losses, &report.weights, shared);
        report.aggregated = self.aggregate(&mut gradients, report.held.as_ref(), rows)?;
        match self.clip.apply(&gradients) {
            Err(Error::NonFinite { name, .. }) => Err(self.blame(&tape, &pass.losses, &name)),
            Err(other) => Err(other),
            Ok((clipped, norm)) => {
                report.gradient_norm = norm;
                Ok(clipped)
            }
        }
    }

    /// One forward pass per batch and one backward pass per batch and task; then the weights, then the sum.
    fn accumulated(
        &mut self,
        batches: &[Batch],
        tasks: &[String],
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        let learning = self.learning(report.held.as_ref(), false);
        let totals = self.weights(batches, tasks)?;
        let mut losses = Named::new(tasks.iter().map(|task| (task.clone(), 0.0)))?;
        let mut rows = losses.map(|_, _| Named::default());
        for (i, batch) in batches.iter().enumerate() {
            let (present, rng) = (self.learners(batch, tasks)?, self.part_rng(i));
            let weights = self.weights(std::slice::from_ref(batch), &present)?;
            let (pass, tape) =
                autograd::record(|| self.pass(batch, &present, Mode::Train(&rng), report.held.as_ref()))?;
            for (task, loss) in pass.losses.iter() {
                let share = loss.affine(share(&weights, &totals, task)?, 0.0)?;
                *losses.require_mut("task", task)? += scalar(&share)?;
                add(rows.require_mut("task", task)?, differentiate(&tape, &share, &learning)?)?;
            }
        }
        self.combine(losses, &rows, report)
    }

    /// Weighs the rows of the large batch as the scalarizer says, and adds its own parameters' gradients.
    fn combine(
        &mut self,
        losses: Named<f64>,
        rows: &Named<Named<Gradient>>,
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        let leaves = losses.try_map(|task, loss| {
            let like = rows.require("task", task)?.values().next().map(Gradient::values);
            let like = like.map(|t| (t.dtype(), t.device().clone()));
            let (dtype, device) = like.unwrap_or((DType::F64, candle_core::Device::Cpu));
            Ok::<_, Error>(Tensor::new(*loss, &device)?.to_dtype(dtype)?)
        })?;
        let step = scalarized(&mut *self.scalarizer, &leaves)?;
        let mut gradients = differentiate(&Tape::default(), &step.value, &self.scalarizer.params())?;
        for (task, row) in rows.iter() {
            if let Some(name) = first_not_finite(row)? {
                return Err(Error::non_finite(format!("gradient (parameter `{name}`)"), task));
            }
            let weight = *step.weights.require("task", task)?;
            add(
                &mut gradients,
                row.try_map(|_, block| block.map_values(|values| values.affine(weight, 0.0)))?,
            )?;
        }
        let weighed = |shared: &_| rows_of(rows, &step.weights, shared);
        report.aggregated = self.aggregate(&mut gradients, report.held.as_ref(), weighed)?;
        (report.losses, report.value, report.weights) = (losses, scalar(&step.value)?, step.weights);
        let (clipped, norm) = self.clip.apply(&gradients)?;
        report.gradient_norm = norm;
        Ok(clipped)
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
        if self.scalarizer.feedback() == Feedback::None {
            return Ok(());
        }
        let losses = self.keeping_buffers(|_| true, |step| step.losses_again(batches, tasks))?;
        self.scalarizer.after_step(&losses)
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
    fn learners(&self, batch: &Batch, tasks: &[String]) -> Result<Vec<String>> {
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

    /// The parameters that are not held; without the shared ones where those are `apart`.
    fn learning(&self, held: Option<&Owner>, apart: bool) -> Named<Param> {
        let mut learning = Named::default();
        let params = self.params.named().into_iter().chain(self.scalarizer.params());
        for (name, param) in params
            .filter(|(_, p)| p.kind.is_trained() && p.kind == Kind::Objective || Some(&p.owner) != held)
            .filter(|(_, p)| !apart || p.kind == Kind::Objective || p.owner != Owner::Shared)
        {
            // Names are unique in both sets, and `build` has refused a name that is in both.
            let _ = learning.insert(name, param);
        }
        learning
    }

    /// Which task it was that gave `parameter` a gradient that is not finite.
    fn blame(&self, tape: &Tape, losses: &Named<Tensor>, parameter: &str) -> Error {
        let what = format!("gradient (parameter `{parameter}`)");
        for (task, loss) in losses.iter() {
            let alone = Named::new([(task, loss.clone())])
                .and_then(|row| Jacobian::on(tape, &row, &self.params.named()));
            if !alone.and_then(|jacobian| jacobian.gramian()).is_ok_and(|gramian| !gramian.is_empty()) {
                return Error::non_finite(what, task);
            }
        }
        Error::non_finite(what, losses.names().collect::<Vec<_>>().join("`, `"))
    }
}

pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}

/// The gradients of those parameters that a value on a tape depends on.
fn differentiate(tape: &Tape, value: &Tensor, params: &Named<Param>) -> Result<Named<Gradient>> {
    let targets: Vec<&Tensor> = params.values().map(|param| param.var.as_tensor()).collect();
    let mut found = tape.backward(&[(value, None)], &targets)?;
    let mut gradients = Named::default();
    for (name, param) in params.iter() {
        if let Some(gradient) = found.remove(&param.var) {
            gradients.insert(name, gradient)?;
        }
    }
    Ok(gradients)
}

/// The share of one batch's loss in that of all batches.
fn share(weights: &Named<f64>, totals: &Named<f64>, task: &str) -> Result<f64> {
    let (weight, total) = (weights.require("task", task)?, *totals.require("task", task)?);
    Ok(if total > 0.0 { weight / total } else { 0.0 })
}

/// Adds gradients to a sum, in which a parameter that nothing has reached yet is absent.
fn add(sum: &mut Named<Gradient>, gradients: Named<Gradient>) -> Result<()> {
    for (name, gradient) in gradients {
        match sum.get_mut(&name) {
            Some(have) => *have = weighted_sum(&[have.clone(), gradient], &[1.0, 1.0])?,
            None => sum.insert(name, gradient)?,
        }
    }
    Ok(())
}

fn first_not_finite(gradients: &Named<Gradient>) -> Result<Option<String>> {
    for (name, gradient) in gradients.iter() {
        if !ops::all_finite(gradient.values())? {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}
