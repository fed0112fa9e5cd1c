//! The gradients of a step over one batch: one forward pass, and as few backward passes as the balance needs.

use candle_core::Tensor;
use taskweave_data::Batch;
use taskweave_heads::Mode;
use taskweave_kernels::autograd::{self, Gradient, Tape};
use taskweave_kernels::{Error, Named, Owner, Param, Result};
use taskweave_loss::Jacobian;

use super::gradients::{add, differentiate, scalar};
use super::pass::Pass;
use super::rows::OnTape;
use super::samples::OfSamples;
use super::seam::AtSeam;
use super::{Step, StepReport};
use crate::balance::{Balanced, Gradients};

impl Step {
    /// The gradient of every parameter that learns.
    pub(super) fn direct(
        &mut self,
        batch: &Batch,
        tasks: &[String],
        report: &mut StepReport,
    ) -> Result<Named<Gradient>> {
        let (rng, held) = (self.step_rng(), report.held.clone());
        let seam = self.seam(held.as_ref());
        let (pass, tape) = autograd::record(|| self.pass_at(batch, tasks, Mode::Train(&rng), seam))?;
        report.losses = pass.losses.try_map(|_, loss| scalar(loss))?;
        let step = self.balance.scalarized(&pass.losses)?;
        (report.value, report.weights) = (scalar(&step.value)?, step.weights);
        let balanced = self.balanced(held.as_ref());
        let learning = self.learning(held.as_ref(), &balanced);
        let mut gradients = differentiate(&tape, &step.value, &learning)?;
        if !balanced.is_empty() {
            let slopes: Vec<f64> = report.weights.values().copied().collect();
            let missing = missing(&learning, &gradients, &pass.losses);
            add(&mut gradients, pass.cuts.before(&tape, (&pass.losses, &slopes), &missing)?)?;
            let found = self.balance_pass((&pass, &tape), &balanced, report)?;
            self.put(found, &mut gradients, report)?;
        }
        match self.clip.apply(&gradients) {
            Err(Error::NonFinite { name, .. }) => Err(self.blame(&tape, &pass.losses, &name, report)),
            Err(other) => Err(other),
            Ok((clipped, norm)) => {
                report.gradient_norm = norm;
                Ok(clipped)
            }
        }
    }

    /// What the balance makes of one pass for the parameters that it is for.
    fn balance_pass(
        &mut self,
        (pass, tape): (&Pass, &Tape),
        params: &Named<Param>,
        report: &StepReport,
    ) -> Result<Balanced> {
        let (losses, slopes) = (&report.losses, &report.weights);
        match self.balance.gradients() {
            Gradients::Samples(_) => {
                let mut rows = OfSamples::new(tape, (&pass.samples, slopes), params)?;
                let losses = rows.losses()?;
                self.balance.balance(&mut rows, &losses, &losses.map(|_, _| 1.0))
            }
            Gradients::Representation(_) => {
                let mut rows = AtSeam::new(tape, (&pass.losses, &pass.cuts), params);
                self.balance.balance(&mut rows, losses, slopes)
            }
            _ => self.balance.balance(&mut OnTape::new(tape, &pass.losses, params), losses, slopes),
        }
    }

    /// Which task it was that gave `parameter` a gradient that is not finite: its own is not, or its weight is too much for it.
    fn blame(&self, tape: &Tape, losses: &Named<Tensor>, parameter: &str, report: &StepReport) -> Error {
        let mut most = (0.0, None);
        for (task, loss) in losses.iter() {
            let alone = Named::new([(task, loss.clone())])
                .and_then(|row| Jacobian::on(tape, &row, &self.params.named()));
            let norm = alone.and_then(|jacobian| jacobian.gramian()).map(|gramian| gramian.norms());
            let Some(norm) = norm.ok().and_then(|norms| norms.first().copied()) else {
                return Error::non_finite(format!("gradient (parameter `{parameter}`)"), task);
            };
            let weight = report.aggregated.as_ref().and_then(|weights| weights.get(task));
            let length = weight.map_or(0.0, |weight| weight.abs() * norm);
            most = if length > most.0 { (length, Some(task)) } else { most };
        }
        let all = || losses.names().collect::<Vec<_>>().join("`, `");
        let what = format!("weighted gradient (parameter `{parameter}`)");
        Error::non_finite(what, most.1.map_or_else(all, String::from))
    }
}

/// The parameters of the tasks at hand that have no gradient yet: those that lie in the trunk, behind a seam that is cut.
fn missing(learning: &Named<Param>, gradients: &Named<Gradient>, losses: &Named<Tensor>) -> Named<Param> {
    let mut missing = learning.clone();
    for (name, param) in learning.iter() {
        let at_hand = matches!(&param.owner, Owner::Task(task) if losses.contains(task));
        if !at_hand || gradients.contains(name) {
            missing.remove(name);
        }
    }
    missing
}
