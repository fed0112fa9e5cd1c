//! Numbers of a scalarizer that are trained along with the network, one per task, 0 at first.

use candle_core::{DType, Device, Tensor, Var};
use taskweave_kernels::{Error, Kind, Named, Owner, Param, Result, State};

/// One trained number per task.
#[derive(Debug, Clone, Default)]
pub(super) struct Trained {
    params: Named<Param>,
}

/// What is configured is equal, whatever was learned.
impl PartialEq for Trained {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Trained {
    /// Makes those of tasks that have none yet.
    pub(super) fn prepare<'a>(
        &mut self,
        tasks: impl Iterator<Item = &'a str>,
        dtype: DType,
        device: &Device,
    ) -> Result<()> {
        for task in tasks {
            if !self.params.contains(task) {
                let var = Var::zeros((), dtype, device)?;
                self.params.insert(task, Param::new(var, Kind::Objective, Owner::Shared))?;
            }
        }
        Ok(())
    }

    /// The number of a task, in the dtype of its loss.
    pub(super) fn of(&mut self, task: &str, loss: &Tensor) -> Result<Tensor> {
        self.prepare(std::iter::once(task), loss.dtype(), loss.device())?;
        Ok(self.params.require("task", task)?.var.to_dtype(loss.dtype())?)
    }

    /// The parameters, named after the method and the task.
    pub(super) fn params(&self, method: &str) -> Named<Param> {
        let named = self.params.iter().map(|(task, param)| (format!("{method}.{task}"), param.clone()));
        // Tasks have unique names.
        Named::new(named).unwrap_or_default()
    }

    pub(super) fn save(&self) -> Result<State> {
        let tensors = self.params.try_map(|_, param| param.var.copy())?;
        Ok(State { tensors, ..State::of(&())? })
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        state.read::<()>("trained task weights")?;
        if let Some((task, tensor)) = state.tensors.iter().find(|(_, tensor)| tensor.rank() != 0) {
            return Err(Error::shape(format!("trained weight of `{task}`"), "[]", tensor.dims()));
        }
        for (task, tensor) in state.tensors.iter() {
            self.prepare(std::iter::once(task), tensor.dtype(), tensor.device())?;
            let var = &self.params.require("task", task)?.var;
            var.set(&tensor.to_dtype(var.dtype())?.to_device(var.device())?)?;
        }
        Ok(())
    }
}
