//! A model in training: losses, gradients, Adam.

use candle_core::{Device, Tensor};
use clap::ValueEnum;
use taskweave::kernels::autograd::{Gradient, Tape, no_grad, record};
use taskweave::kernels::optim::Optimizer;
use taskweave::kernels::{Owner, Param};
use taskweave::loss::weighting::{UpGrad, Weighting};
use taskweave::loss::{Gramian, sample_gramian};
use taskweave::prelude::*;

use super::{Name, Workload};

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StepMode {
    /// Losses only
    Forward,
    /// One backward pass of the sum of all losses
    Ew,
    /// One gradient per task, or per sample, aggregated by UPGrad
    Jacobian,
    /// As `ew`; so called beside a peer that compiles that step
    Compile,
}

/// What has a gradient of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Objectives {
    Tasks,
    Samples,
}

impl Objectives {
    fn of(name: Name) -> Self {
        if name == Name::Iwrm64 { Self::Samples } else { Self::Tasks }
    }
}

/// A workload with its optimizer.
pub struct Stepper {
    pub workload: Workload,
    optimizer: Optimizer,
    all: Named<Param>,
    shared: Named<Param>,
    own: Named<Param>,
    objectives: Objectives,
}

impl Stepper {
    /// The workload of a name, untrained.
    pub fn new(name: Name, device: &Device) -> Result<Self> {
        Self::on(name.build(device)?, Objectives::of(name))
    }

    /// A workload, untrained.
    pub fn on(workload: Workload, objectives: Objectives) -> Result<Self> {
        let optimizer = Optimizer::new(OptimizerConfig::Adam(Adam::default()), workload.params.named())?;
        let trained = |which: &dyn Fn(&Param) -> bool| {
            let params = workload.params.named().into_iter();
            Named::new(params.filter(|(_, param)| param.kind.is_trained() && which(param)))
        };
        Ok(Self {
            all: trained(&|_| true)?,
            shared: trained(&|param| param.owner == Owner::Shared)?,
            own: trained(&|param| param.owner != Owner::Shared)?,
            objectives,
            workload,
            optimizer,
        })
    }

    /// One step.
    pub fn step(&mut self, mode: StepMode) -> Result<()> {
        match self.gradients(mode)? {
            Some(gradients) => self.update(&gradients),
            None => Ok(()),
        }
    }

    /// The update.
    pub fn update(&mut self, gradients: &Named<Gradient>) -> Result<()> {
        self.optimizer.step(gradients)
    }

    /// All of a step but the update; a mode without gradients has none.
    pub fn gradients(&self, mode: StepMode) -> Result<Option<Named<Gradient>>> {
        match mode {
            StepMode::Forward => no_grad(|| self.workload.losses()).map(|_| None),
            StepMode::Ew | StepMode::Compile => {
                let (losses, tape) = record(|| self.workload.losses())?;
                let seeds: Vec<_> = losses.values().map(|loss| (loss, None)).collect();
                gradients_of(&tape, &seeds, &self.all).map(Some)
            }
            StepMode::Jacobian if self.objectives == Objectives::Samples => self.sample_wise().map(Some),
            StepMode::Jacobian => self.task_wise().map(Some),
        }
    }

    /// The gradient of the first task for what all share, from a recorded forward pass.
    pub fn trunk_backward(&self, losses: &Named<Tensor>, tape: &Tape) -> Result<()> {
        let targets: Vec<&Tensor> = self.shared.values().map(|param| param.var.as_tensor()).collect();
        let seeds: Vec<_> = losses.values().take(1).map(|loss| (loss, None)).collect();
        tape.backward(&seeds, &targets)?;
        Ok(())
    }

    /// One gradient per task for what they share; each task's own gradient for its head.
    fn task_wise(&self) -> Result<Named<Gradient>> {
        let (losses, tape) = record(|| self.workload.losses())?;
        let tasks: Vec<&Tensor> = losses.values().collect();
        let shared: Vec<&Tensor> = self.shared.values().map(|param| param.var.as_tensor()).collect();
        let gradients = tape.task_gradients(&tasks, &shared)?;
        let products = gradients.products().chunks(tasks.len()).collect::<Vec<_>>();
        let weights = UpGrad.weights(&Gramian::new(losses.names(), &products)?)?;
        let mut sums = gradients.weighted_sum(&weights)?;
        let shared = self.shared.iter().filter_map(|(name, param)| Some((name, sums.remove(&param.var)?)));
        let seeds: Vec<_> = tasks.into_iter().map(|loss| (loss, None)).collect();
        let own = gradients_of(&tape, &seeds, &self.own)?;
        Named::new(shared.collect::<Vec<_>>().into_iter().map(|(n, g)| (n.to_string(), g)).chain(own))
    }

    /// One gradient per sample, of which only the inner products are formed.
    fn sample_wise(&self) -> Result<Named<Gradient>> {
        let (losses, tape) = record(|| self.workload.sample_losses())?;
        let weights = UpGrad.weights(&sample_gramian(&tape, &losses, &self.all)?)?;
        let weights: Vec<f32> = weights.into_iter().map(|w| w as f32).collect();
        let weights = Tensor::new(weights, losses.device())?;
        gradients_of(&tape, &[(&losses, Some(weights))], &self.all)
    }
}

fn gradients_of(
    tape: &Tape,
    seeds: &[(&Tensor, Option<Tensor>)],
    params: &Named<Param>,
) -> Result<Named<Gradient>> {
    let targets: Vec<&Tensor> = params.values().map(|param| param.var.as_tensor()).collect();
    let mut found = tape.backward(seeds, &targets)?;
    let reached = params.iter().filter_map(|(name, param)| Some((name, found.remove(&param.var)?)));
    Named::new(reached.collect::<Vec<_>>())
}
