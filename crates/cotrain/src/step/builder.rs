//! The parts of a step, checked against each other.

use taskweave_heads::{Model, Params};
use taskweave_kernels::optim::{Adam, Optimizer, OptimizerConfig};
use taskweave_kernels::{Error, Named, Owner, Param, Result, Rng};
use taskweave_loss::Criterion;

use super::seam::untrained;
use super::{Clip, Step, block};
use crate::balance::Gradients;
use crate::{Balance, Sampling, Schedule};

/// The parts of a [`Step`].
///
/// | name | default | meaning |
/// | --- | --- | --- |
/// | `criterion` | – | the loss of a task; every task needs one |
/// | `balance` | sum of the losses | what makes one gradient of them |
/// | `optimizer` | Adam, 1e-3 | the update rule; every block has its own state |
/// | `schedule` | joint | which block is held |
/// | `sampling` | all | which tasks learn |
/// | `clip` | none | what is done to large gradients |
/// | `rng` | seed 0 | where randomness comes from |
pub struct StepBuilder {
    model: Box<dyn Model>,
    params: Params,
    criteria: Vec<(String, Box<dyn Criterion>)>,
    balance: Balance,
    optimizer: OptimizerConfig,
    schedule: Schedule,
    sampling: Sampling,
    clip: Clip,
    rng: Rng,
}

impl Step {
    /// A step for a model whose parameters are `params`.
    pub fn builder(model: impl Model + 'static, params: Params) -> StepBuilder {
        StepBuilder {
            model: Box::new(model),
            params,
            criteria: Vec::new(),
            balance: Balance::default(),
            optimizer: OptimizerConfig::Adam(Adam::default()),
            schedule: Schedule::Joint,
            sampling: Sampling::All,
            clip: Clip::None,
            rng: Rng::new(0),
        }
    }
}

impl StepBuilder {
    /// The loss of a task.
    pub fn criterion(self, task: &str, criterion: impl Criterion + 'static) -> Self {
        self.boxed_criterion(task, Box::new(criterion))
    }

    /// The loss of a task, as [`CriterionConfig`](taskweave_loss::CriterionConfig) builds it.
    pub fn boxed_criterion(mut self, task: &str, criterion: Box<dyn Criterion>) -> Self {
        self.criteria.push((task.into(), criterion));
        self
    }

    /// What makes one gradient of the losses: by value, or built from a [`BalanceConfig`](crate::BalanceConfig).
    ///
    /// # Example
    /// ```
    /// # use candle_core::{DType, Device};
    /// # use taskweave_cotrain::{BalanceConfig, Step};
    /// # use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
    /// # use taskweave_kernels::{Named, Rng};
    /// # use taskweave_loss::criterion::Mse;
    /// # let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
    /// # let trunk = MlpConfig { inputs: 2, widths: vec![8], dropout: 0.0 }.build(&params.shared())?;
    /// # let head = Regression::new(&params.task("sum"), trunk.features(), 1)?;
    /// # let heads = Named::new([("sum", Box::new(head) as Box<dyn Stage>)])?;
    /// # let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    /// let text = r#"{"gradients": {"of": "parameters", "method": {"name": "nash_mtl"}}}"#;
    /// let config: BalanceConfig = serde_json::from_str(text).unwrap();
    /// let step = Step::builder(model, params).criterion("sum", Mse).balance(config.build()?).build()?;
    /// assert_eq!(step.balance().record()["gradients"]["method"]["name"], "nash_mtl");
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// The update rule.
    pub fn optimizer(mut self, optimizer: OptimizerConfig) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Which block is held.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Which tasks learn.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// What is done to large gradients.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = clip;
        self
    }

    /// Where randomness comes from: the fork `"step"` of `rng`.
    pub fn rng(mut self, rng: &Rng) -> Self {
        self.rng = rng.fork("step");
        self
    }

    /// The step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a value out of range or a model without tasks, [`Error::Unknown`] for a task
    /// without a criterion or a criterion, weight or parameter of a task that the model does not have, and
    /// [`Error::Name`] where the scalarizer's parameters share a name with the model's. Conventions of the balance that
    /// nothing here could keep are [`Error::Parameter`] too.
    pub fn build(mut self) -> Result<Step> {
        let tasks = self.model.tasks();
        let criteria = Named::new(self.criteria)?;
        let known = Named::new(tasks.iter().map(|task| (task.clone(), ())))?;
        if tasks.is_empty() {
            return Err(Error::parameter("tasks of the model", "at least one", 0));
        }
        tasks.iter().try_for_each(|task| criteria.require("criterion of task", task).map(|_| ()))?;
        criteria.names().try_for_each(|task| known.require("task", task).map(|_| ()))?;
        self.schedule.check()?;
        self.sampling.check(&tasks)?;
        self.clip.check()?;
        if let Some(like) = self.params.named().values().next().map(|param| param.var.as_tensor().clone()) {
            self.balance.scalarizer_mut().prepare(&tasks, like.dtype(), like.device())?;
        }
        self.balance.prepare(&tasks)?;
        self.balance.check(&self.schedule)?;
        check_samples(&self.balance, &criteria)?;
        let representation = matches!(self.balance.gradients(), Gradients::Representation(_));
        let learns = |param: &Param| param.kind.is_trained() && param.owner == Owner::Shared;
        if representation && !self.params.named().values().any(learns) {
            return Err(untrained());
        }
        let optimizers = optimizers(&self.optimizer, &self.params, &known, self.balance.objective())?;
        let base = optimizers.values().next().map_or(0.0, Optimizer::rate);
        Ok(Step {
            base,
            model: self.model,
            params: self.params,
            criteria,
            balance: self.balance,
            optimizers,
            schedule: self.schedule,
            sampling: self.sampling,
            clip: self.clip,
            rng: self.rng,
            tasks,
            done: 0,
        })
    }
}

/// Refuses a balance of samples where a criterion has no loss of each sample by itself.
fn check_samples(balance: &Balance, criteria: &Named<Box<dyn Criterion>>) -> Result<()> {
    let comparing = criteria.iter().find(|(_, criterion)| criterion.compares_samples());
    match (balance.gradients(), comparing) {
        (Gradients::Samples(..), Some((task, _))) => Err(Error::parameter(
            format!("criterion of task `{task}`"),
            "a loss of each sample by itself, where samples are balanced",
            "one that compares samples",
        )),
        _ => Ok(()),
    }
}

/// One optimizer per block, in the order of the schedule; the objective's own parameters come last.
fn optimizers(
    config: &OptimizerConfig,
    params: &Params,
    tasks: &Named<()>,
    objective: Named<Param>,
) -> Result<Named<Optimizer>> {
    let owners = std::iter::once(Owner::Shared).chain(tasks.names().map(|task| Owner::Task(task.into())));
    let mut blocks = Named::new(owners.map(|owner| (block(&owner), Named::default())))?;
    for (name, param) in params.named() {
        blocks.require_mut("owner of a parameter", &block(&param.owner))?.insert(name, param)?;
    }
    if let Some(name) = objective.names().find(|name| params.named().contains(name)) {
        return Err(Error::Name { name: name.into() });
    }
    if !objective.is_empty() {
        blocks.insert("objective", objective)?;
    }
    blocks.try_map(|_, params| Optimizer::new(*config, params.clone()))
}
