//! What step protocols are made of: losses and gradients of one batch that change nothing, looks ahead, and the update.

use candle_core::{DType, Tensor, Var};
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::autograd::{self, Gradient};
use taskweave_kernels::{Error, Named, Owner, Param, Result};
use taskweave_loss::Jacobian;
use taskweave_loss::scalarizer::Feedback;

use super::gradients::{differentiate_all, scalar, weighed};
use super::pass::Pass;
use super::{Step, StepReport};
use crate::balance::Gradients;
use crate::{Heads, Sampling, Schedule};

/// One of a step's batches, with its number: what is drawn for it (dropout) depends on the step and this number alone.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Its number among those of the step.
    pub number: usize,
}

/// Which parameters a gradient is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Those that all tasks share.
    Shared,
    /// All that are trained.
    All,
}

/// The losses of a batch and the gradient of their weighted sum.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// Samples that it took.
    pub samples: usize,
    /// The loss of each task that has labels and a weight.
    pub losses: Named<f64>,
    /// The weight of each of these tasks.
    pub weights: Named<f64>,
    /// The gradient, by parameter; one that no task reaches is absent.
    pub gradient: Named<Gradient>,
}

impl Step {
    /// Refuses a step with parts that a protocol would ignore: it weighs the tasks itself, and all of them learn in all
    /// blocks at every step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a balance of gradients, a scalarizer that is not a plain sum, a schedule that is not joint or a
    /// sampling of tasks; `protocol` names who asks.
    pub fn require_plain(&mut self, protocol: &str) -> Result<()> {
        let refuse = |part: &str, expected: &str, found: String| {
            Err(Error::parameter(format!("{part} of a step for {protocol}"), expected, found))
        };
        if !matches!(self.balance.gradients(), Gradients::None) {
            return refuse("balance", "that of losses", "one of gradients".into());
        }
        if self.schedule != Schedule::Joint {
            return refuse("schedule", "joint", format!("{:?}", self.schedule));
        }
        if self.sampling != Sampling::All {
            return refuse("sampling", "all tasks", format!("{:?}", self.sampling));
        }
        match self.is_sum()? {
            true => Ok(()),
            false => refuse("scalarizer", "sum", "another".into()),
        }
    }

    /// The tasks that the batch has labels for, in the order of the model.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn labeled(&self, batch: &Batch) -> Result<Vec<String>> {
        self.present(batch)
    }

    /// The loss of each labeled task, in training mode. Nothing changes, running statistics included.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn losses(&mut self, part: Part<'_>) -> Result<Named<f64>> {
        self.unseen(|step| {
            let tasks = step.labeled(part.batch)?;
            autograd::no_grad(|| step.forward(part, &tasks))?.losses.try_map(|_, loss| scalar(loss))
        })
    }

    /// The gradient of each labeled task's loss, in training mode. Nothing changes, running statistics included. Costs
    /// one backward pass per task.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn rows(&mut self, part: Part<'_>, over: Over) -> Result<Jacobian> {
        let tasks = self.labeled(part.batch)?;
        self.unseen(|step| {
            let (pass, tape) = autograd::record(|| step.forward(part, &tasks))?;
            Jacobian::on(&tape, &pass.losses, &step.trained(over))
        })
    }

    /// The gradient of the weighted sum of the losses of those labeled tasks that have a weight, as a Jacobian of one row
    /// `"sum"`, in training mode. Nothing changes, running statistics included. Costs one backward pass.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Parameter`] where no labeled task has a weight.
    pub fn row(&mut self, part: Part<'_>, weights: &Named<f64>, over: Over) -> Result<Jacobian> {
        let tasks = self.weighable(part.batch, weights)?;
        self.unseen(|step| {
            let (pass, tape) = autograd::record(|| step.forward(part, &tasks))?;
            let mut sum: Option<Tensor> = None;
            for (task, loss) in pass.losses.iter() {
                let term = loss.affine(*weights.require("task", task)?, 0.0)?;
                sum = Some(sum.map_or_else(|| Ok(term.clone()), |sum| sum + &term)?);
            }
            let sum = sum.ok_or_else(|| Error::parameter("tasks of a weighted sum", "at least one", 0))?;
            Jacobian::on(&tape, &Named::new([("sum", sum)])?, &step.trained(over))
        })
    }

    /// The losses of those labeled tasks that have a weight, and the gradient of their weighted sum with respect to all
    /// parameters. Heads learn their own loss, or that times the task's weight. This is the pass of an update: running
    /// statistics see the batch, the parameters stay. With unit heads it costs two backward passes, one of them of the
    /// heads alone.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn weighed(&mut self, part: Part<'_>, weights: &Named<f64>, heads: Heads) -> Result<Weighed> {
        let now = self.done;
        self.weighed_now(part, weights, heads).map_err(|error| error.at(now))
    }

    /// Takes the gradient: clips it, changes the parameters and counts the step. Nothing has changed where it fails.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a gradient with a NaN or an infinity, with the parameter.
    pub fn descend(&mut self, weighed: Weighed) -> Result<StepReport> {
        let step = self.done;
        let (clipped, gradient_norm) = self.clip.apply(&weighed.gradient).map_err(|error| error.at(step))?;
        self.update(clipped)?;
        self.done += 1;
        let Weighed { samples, losses, weights, .. } = weighed;
        let value = losses.values().zip(weights.values()).map(|(loss, weight)| loss * weight).sum();
        Ok(StepReport {
            step,
            samples,
            losses,
            value,
            weights,
            aggregated: None,
            sample_weights: None,
            gradient_norm,
            held: None,
        })
    }

    /// Runs `f`, and gives all parameters and running statistics the values back that they had before, to the bit, also
    /// where `f` fails. What else `f` changes, such as the count of steps, stays changed.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn aside<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let keep = |param: &Param| Ok((param.var.clone(), param.var.copy()?));
        let before: Vec<(Var, Tensor)> = self.params.named().values().map(keep).collect::<Result<_>>()?;
        let result = f(self);
        before.iter().try_for_each(|(var, value)| var.set(value))?;
        result
    }

    /// Adds `factor` · `direction` to the parameters, past their optimizers.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a direction of a parameter that does not exist.
    pub fn shift(&mut self, direction: &Named<Gradient>, factor: f64) -> Result<()> {
        let params = self.params.named();
        for (name, along) in direction.iter() {
            let var = &params.require("parameter", name)?.var;
            let moved = (var.as_detached_tensor() + (along.clone().into_dense()? * factor)?)?;
            var.set(&moved)?;
        }
        Ok(())
    }

    fn weighed_now(&mut self, part: Part<'_>, weights: &Named<f64>, heads: Heads) -> Result<Weighed> {
        let tasks = self.weighable(part.batch, weights)?;
        let (pass, tape) = autograd::record(|| self.forward(part, &tasks))?;
        let losses = pass.losses.try_map(|_, loss| scalar(loss))?;
        let weights = losses.try_map(|task, _| weights.require("task", task).copied())?;
        let all = self.trained(Over::All);
        let (shared, own): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, param)| heads == Heads::Weighted || param.owner == Owner::Shared);
        let factors: Vec<f64> = weights.values().copied().collect();
        let mut gradient = differentiate_all(&tape, weighed(&pass.losses, &factors)?, &Named::new(shared)?)?;
        if !own.is_empty() {
            let ones = weighed(&pass.losses, &vec![1.0; factors.len()])?;
            for (name, block) in differentiate_all(&tape, ones, &Named::new(own)?)? {
                gradient.insert(name, block)?;
            }
        }
        Ok(Weighed { samples: part.batch.len(), losses, weights, gradient })
    }

    fn forward(&self, part: Part<'_>, tasks: &[String]) -> Result<Pass> {
        let rng = self.part_rng(part.number);
        self.pass(part.batch, tasks, Mode::Train(&rng), None)
    }

    /// Runs `f` so that running statistics do not see it.
    fn unseen<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let now = self.done;
        self.keeping_buffers(|_| true, f).map_err(|error| error.at(now))
    }

    fn weighable(&self, batch: &Batch, weights: &Named<f64>) -> Result<Vec<String>> {
        Ok(self.labeled(batch)?.into_iter().filter(|task| weights.contains(task)).collect())
    }

    fn trained(&self, over: Over) -> Named<Param> {
        let mut trained = Named::default();
        for (name, param) in self.params.named() {
            if param.kind.is_trained() && (over == Over::All || param.owner == Owner::Shared) {
                // The names come from a set of unique ones.
                let _ = trained.insert(name, param);
            }
        }
        trained
    }

    /// Whether the scalarizer is one without state or parameters that weighs every loss by 1.
    fn is_sum(&mut self) -> Result<bool> {
        let scalarizer = self.balance.scalarizer_mut();
        let state = scalarizer.save()?;
        let stateless = state.values.is_null() && state.tensors.is_empty();
        if !stateless || !scalarizer.params().is_empty() || scalarizer.feedback() != Feedback::None {
            return Ok(false);
        }
        let probe = |(i, task): (usize, &String)| {
            Ok((task.clone(), Tensor::new(2.0 + i as f64, self.params.device())?.to_dtype(DType::F32)?))
        };
        let losses = self.tasks.iter().enumerate().map(probe).collect::<Result<Vec<_>>>()?;
        let weights = self.balance.scalarized(&Named::new(losses)?)?.weights;
        Ok(weights.values().all(|weight| *weight == 1.0))
    }
}
