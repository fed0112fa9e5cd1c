//! Looking at a step without taking it: the tasks' gradients, and the losses that a step for one task alone would leave.

use candle_core::{DType, Tensor, Var};
use taskweave_data::Batch;
use taskweave_heads::{Mode, Params};
use taskweave_kernels::autograd;
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result};
use taskweave_loss::Jacobian;

use super::Step;

/// The losses of a batch before a step, and after a step on the gradient of each task alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookahead {
    /// By task.
    pub before: Named<f64>,
    /// By the task whose gradient it was, then by task.
    pub after: Named<Named<f64>>,
}

impl Step {
    /// The gradients of the tasks' losses with respect to the trained shared parameters, as the next step would see them on
    /// this batch: in training mode, with the random numbers of that step. Nothing changes, running statistics included.
    /// A batch without labels has no rows.
    ///
    /// # Errors
    /// As for [`Step::step`].
    pub fn jacobian(&mut self, batch: &Batch) -> Result<Jacobian> {
        let kept = Kept::of(&self.params, |param| param.kind == Kind::Buffer)?;
        let found = self.rows(batch).map(|(_, jacobian)| jacobian);
        kept.put_back()?;
        found.map_err(|error| error.at(self.done))
    }

    /// The losses of a batch, and those after θ − `rate` · gᵢ for the gradient gᵢ of each task: of the shared parameters
    /// alone, in training mode, with the random numbers of the next step. Then everything is as it was, bit for bit. Costs
    /// one backward and one forward pass per task.
    ///
    /// # Errors
    /// As for [`Step::step`], and [`Error::Parameter`] for a rate that is not a finite number > 0.
    ///
    /// # Example
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use taskweave_cotrain::Step;
    /// # use taskweave_data::Batch;
    /// # use taskweave_heads::{Mode, Model, Params};
    /// # use taskweave_kernels::{Named, Result, Rng, Target};
    /// # use taskweave_loss::{Affinity, criterion::Mse};
    /// # struct Both(Tensor);
    /// # impl Model for Both {
    /// #     fn tasks(&self) -> Vec<String> { vec!["up".into(), "down".into()] }
    /// #     fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
    /// #         let y = inputs["x"].broadcast_mul(&self.0)?;
    /// #         Named::new([("up", y.clone()), ("down", y)])
    /// #     }
    /// #     fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> { Ok(features.clone()) }
    /// # }
    /// # let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
    /// # let factor = params.shared().get_with_hints(1, "factor", candle_nn::Init::Const(0.0))?;
    /// # let mut step = Step::builder(Both(factor), params).criterion("up", Mse).criterion("down", Mse).build()?;
    /// # let target = |y: f64| Target::new(Tensor::new(&[[y]], &Device::Cpu)?);
    /// # let batch = Batch {
    /// #     inputs: Named::new([("x", Tensor::new(&[[1f64]], &Device::Cpu)?)])?,
    /// #     targets: Named::new([("up", target(1.0)?), ("down", target(-2.0)?)])?,
    /// #     indices: vec![0],
    /// # };
    /// // Both tasks predict w · 1 with w = 0; `up` wants 1 and `down` wants −2, so that the losses are 1 and 4.
    /// let found = step.lookahead(&batch, 0.25)?;
    /// assert_eq!(found.after["up"]["up"], 0.25); // w = 0.25 · 2 · 1
    /// assert_eq!(found.after["up"]["down"], 6.25);
    /// assert_eq!(Affinity::of(&found.before, &found.after)?.on("up", "down")?, 1.0 - 6.25 / 4.0);
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn lookahead(&mut self, batch: &Batch, rate: f64) -> Result<Lookahead> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::parameter("rate of a lookahead", "a finite number > 0", rate));
        }
        let kept = Kept::of(&self.params, |p| p.kind == Kind::Buffer || p.owner == Owner::Shared)?;
        let found = self.look(batch, rate, &kept);
        kept.put_back()?;
        found.map_err(|error| error.at(self.done))
    }

    fn look(&self, batch: &Batch, rate: f64, kept: &Kept) -> Result<Lookahead> {
        let (before, jacobian) = self.rows(batch)?;
        let tasks: Vec<String> = before.names().map(String::from).collect();
        let (shared, rng) = (self.shared_trained()?, self.step_rng());
        let after = jacobian.rows().try_map(|_, row| {
            kept.put_back()?;
            for (name, param) in shared.iter() {
                let slope = row.require("gradient", name)?.clone().into_dense()?;
                param.var.set(&(param.var.as_tensor().copy()? - (slope * rate)?)?.detach())?;
            }
            numbers(&autograd::no_grad(|| self.pass(batch, &tasks, Mode::Train(&rng), None))?.losses)
        })?;
        Ok(Lookahead { before, after })
    }

    /// The losses of a batch and their gradients.
    fn rows(&self, batch: &Batch) -> Result<(Named<f64>, Jacobian)> {
        let (tasks, rng) = (self.present(batch)?, self.step_rng());
        let (pass, tape) = autograd::record(|| self.pass(batch, &tasks, Mode::Train(&rng), None))?;
        let jacobian = Jacobian::on(&tape, &pass.losses, &self.shared_trained()?)?;
        Ok((numbers(&pass.losses)?, jacobian))
    }

    fn shared_trained(&self) -> Result<Named<Param>> {
        let named = self.params.named().into_iter();
        Named::new(named.filter(|(_, param)| param.kind.is_trained() && param.owner == Owner::Shared))
    }
}

/// Values of parameters that are put back.
struct Kept(Vec<(Var, Tensor)>);

impl Kept {
    fn of(params: &Params, which: impl Fn(&Param) -> bool) -> Result<Self> {
        let named = params.named();
        let chosen = named.values().filter(|param| which(param));
        chosen.map(|param| Ok((param.var.clone(), param.var.copy()?))).collect::<Result<_>>().map(Self)
    }

    fn put_back(&self) -> Result<()> {
        self.0.iter().try_for_each(|(var, before)| Ok(var.set(before)?))
    }
}

fn numbers(losses: &Named<Tensor>) -> Result<Named<f64>> {
    losses.try_map(|_, loss| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?))
}
