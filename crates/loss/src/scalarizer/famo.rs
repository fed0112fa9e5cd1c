//! FAMO: every loss falls at about the same rate, at the cost of one backward pass.
//!
//! With z = softmax(ξ) and Dᵢ = Lᵢ − bᵢ + ε,
//!     value = c Σ zᵢ log Dᵢ,   c = 1 / Σ (zᵢ / Dᵢ),   no gradient through c.
//! After the step, with the losses L′ of the same batch, one step of Adam moves ξ against
//!     zᵢ (δᵢ − Σ zⱼδⱼ) + decay · ξᵢ,   δᵢ = log Dᵢ − log D′ᵢ,
//! so that a task that has improved less counts for more. Over the tasks that are present; the others keep their ξ.
//! Guarantees: the weights zᵢ c / Dᵢ sum to 1. Losses must stay above b − ε. Costs a second forward pass.
//! Reference: Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, <https://arxiv.org/abs/2306.03792>.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{
    Feedback, PerTask, Scalarizer,
    terms::{numbers, softmax, sum_of},
};
use crate::{adam::Trained, parameter};

const EPSILON: f64 = 1e-8;

/// Losses that fall at the same rate.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.025 | > 0 | learning rate of ξ |
/// | `weight_decay` | 0.001 | ≥ 0 | pull of ξ towards equal weights |
/// | `bound` | 0 | one per task | b, what no loss falls below |
///
/// # Errors
/// [`Error::Parameter`] for a loss at or below b − 1e-8.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarized, scalarizer::Famo};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(3.0)?)])?;
/// let mut famo = Famo::new(0.025, 0.0)?;
/// let weights = scalarized(&mut famo, &losses)?.weights;
/// assert!((weights["class"] - 0.75).abs() < 1e-7); // c / D: three times the weight of the other
/// famo.after_step(&Named::new([("class", 0.5), ("mask", 3.0)])?)?;
/// assert!(scalarized(&mut famo, &losses)?.weights["class"] < 0.75); // it has improved, the other has not
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Famo {
    lr: f64,
    weight_decay: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<PerTask>,
    #[serde(skip)]
    seen: Seen,
}

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    logits: Named<Trained>,
    /// log D of the last step.
    logs: Named<f64>,
}

impl Famo {
    /// Learning rate and decay of ξ.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an `lr` that is not > 0 or a `weight_decay` that is negative.
    pub fn new(lr: f64, weight_decay: f64) -> Result<Self> {
        Self::try_from(Fields { lr, weight_decay, bound: None })
    }

    /// log(Lᵢ − bᵢ + ε).
    fn logs(&self, losses: &Named<f64>) -> Result<Named<f64>> {
        let bounds = self.bounds(losses)?;
        losses.try_map(|task, loss| {
            let above = loss - bounds[task] + EPSILON;
            match above > 0.0 && above.is_finite() {
                true => Ok(above.ln()),
                false => {
                    let expected = format!("a finite number > {:e}", bounds[task] - EPSILON);
                    Err(Error::parameter(format!("loss of `{task}`"), expected, loss))
                }
            }
        })
    }

    fn bounds<T>(&self, tasks: &Named<T>) -> Result<Named<f64>> {
        match &self.bound {
            Some(bound) => bound.of("bound", tasks),
            None => Ok(tasks.map(|_, _| 0.0)),
        }
    }

    fn shares<T>(&self, tasks: &Named<T>) -> Named<f64> {
        softmax(&tasks.map(|task, _| self.seen.logits.get(task).map_or(0.0, |logit| logit.value)))
    }
}

impl Scalarizer for Famo {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        let (logs, bounds, z) = (self.logs(&numbers(losses)?)?, self.bounds(losses)?, self.shares(losses));
        let c = 1.0 / z.iter().map(|(task, z)| z * (-logs[task]).exp()).sum::<f64>();
        let term = |task: &str, loss: &Tensor| {
            Ok(loss.affine(1.0, EPSILON - bounds[task])?.log()?.affine(c * z[task], 0.0)?)
        };
        let value = sum_of(losses, term)?;
        self.seen.logs = logs;
        Ok(value)
    }

    fn after_step(&mut self, losses: &Named<f64>) -> Result<()> {
        if losses.len() != self.seen.logs.len() {
            let tasks = |of: &Named<f64>| of.names().collect::<Vec<_>>().join(", ");
            let expected = format!("those of the step: {}", tasks(&self.seen.logs));
            return Err(Error::parameter("tasks of the losses after a step", expected, tasks(losses)));
        }
        let (after, z) = (self.logs(losses)?, self.shares(losses));
        let fall =
            after.try_map(|task, after| Ok::<_, Error>(self.seen.logs.require("task", task)? - after))?;
        let mean: f64 = fall.iter().map(|(task, fall)| z[task] * fall).sum();
        for (task, fall) in fall.iter() {
            if !self.seen.logits.contains(task) {
                self.seen.logits.insert(task, Trained::default())?;
            }
            let logit = self.seen.logits.require_mut("task", task)?;
            logit.step(z[task] * (fall - mean) + self.weight_decay * logit.value, self.lr);
        }
        Ok(())
    }

    fn feedback(&self) -> Feedback {
        Feedback::LossesAfterStep
    }
}

impl Stateful for Famo {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.seen = state.read("famo")?;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    lr: f64,
    weight_decay: f64,
    bound: Option<PerTask>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { lr: 0.025, weight_decay: 1e-3, bound: None }
    }
}

impl TryFrom<Fields> for Famo {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self {
            lr: parameter::positive("lr", fields.lr)?,
            weight_decay: parameter::non_negative("weight_decay", fields.weight_decay)?,
            bound: fields.bound.map(|bound| bound.checked("bound", parameter::finite)).transpose()?,
            seen: Seen::default(),
        })
    }
}
