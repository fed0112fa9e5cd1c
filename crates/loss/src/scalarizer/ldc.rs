//! LDC-MTL: weights are trained so that the weighed losses are equal.
//!
//! With losses relative to those of the first step L̃ᵢ = Lᵢ / Lᵢ(0), and σ = softmax(W) with W trained, 0 at first,
//!     value = Σ σᵢL̃ᵢ + λ Σ | σᵢL̃ᵢ − σᵢ₊₁L̃ᵢ₊₁ |
//! where W sees the second term only: it is the upper problem, the loss of the network the lower one. Over the tasks that are
//! present, in their order. Guarantees: Σ σ = 1.
//! Variants: the single-loop form that the authors recommend, in which the difference of the lower problem's gradients in W
//! is left out. A common factor τ of the weighed losses is part of λ. They have σ from a small network on the losses;
//! here W is one number per task. Where two weighed losses are equal the slope of their difference is 0.
//! Reference: Xiao et al., "LDC-MTL: Balancing Multi-Task Learning through Scalable Loss Discrepancy Control", 2025,
//! <https://arxiv.org/abs/2502.08585>.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Param, Result, State, Stateful};

use super::{
    Scalarizer,
    terms::{above, sum_of},
    trained::Trained,
};
use crate::parameter;

/// Weights that make the weighed losses equal.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lambda` | 0.1 | > 0 | how much the differences count |
///
/// # Errors
/// [`Error::Parameter`] for a loss that is not > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{scalarized, scalarizer::Ldc};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = |a: f64, b: f64| Named::new([("a", loss(a)?), ("b", loss(b)?)]);
/// let mut ldc = Ldc::new(0.1)?;
/// assert_eq!(scalarized(&mut ldc, &losses(2.0, 8.0)?)?.weights["a"], 0.25); // σ / L(0)
/// let step = scalarized(&mut ldc, &losses(2.0, 4.0)?)?;
/// assert!((step.value.to_scalar::<f64>()? - 0.775).abs() < 1e-12); // ½ + ¼ + 0.1 · ¼
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Ldc {
    lambda: f64,
    first: Named<f64>,
    trained: Trained,
}

impl Ldc {
    /// Differences count `lambda` times.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `lambda` that is not a finite number > 0.
    pub fn new(lambda: f64) -> Result<Self> {
        let lambda = parameter::positive("lambda", lambda)?;
        Ok(Self { lambda, first: Named::default(), trained: Trained::default() })
    }

    /// σᵢ of the tasks that are present, differentiable in W.
    fn shares(&mut self, losses: &Named<Tensor>) -> Result<Named<Tensor>> {
        let logits = losses.try_map(|task, loss| self.trained.of(task, loss))?;
        let numbers = logits.try_map(|_, w| w.to_dtype(DType::F64)?.to_scalar::<f64>())?;
        let most = numbers.values().fold(f64::NEG_INFINITY, |most, w| most.max(*w));
        let powers = logits.try_map(|_, w| w.affine(1.0, -most)?.exp())?;
        let sum = sum_of(&powers, |_, power| Ok(power.clone()))?;
        Ok(powers.try_map(|_, power| power / &sum)?)
    }
}

impl Scalarizer for Ldc {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        for (task, loss) in
            above(losses, 0.0)?.iter().filter(|(task, _)| !self.first.contains(task)).collect::<Vec<_>>()
        {
            self.first.insert(task, *loss)?;
        }
        let shares = self.shares(losses)?;
        // Divided, not multiplied by the inverse: L / L is 1 exactly, and equal terms are to be equal.
        let relative = losses.try_map(|task, loss| {
            let first = Tensor::new(self.first[task], loss.device())?.to_dtype(loss.dtype())?;
            Ok::<_, Error>(loss.div(&first)?)
        })?;
        let sum = sum_of(&relative, |task, loss| Ok((loss * shares[task].detach())?))?;
        let weighed = relative.try_map(|task, loss| loss * &shares[task])?;
        let mut value = sum;
        for (one, next) in weighed.values().zip(weighed.values().skip(1)) {
            let apart = (one - next)?;
            // The slopes of both parts at 0 cancel.
            let distance = (apart.relu()? + apart.neg()?.relu()?)?;
            value = (value + distance.affine(self.lambda, 0.0)?)?;
        }
        Ok(value)
    }

    fn prepare(&mut self, tasks: &[String], dtype: DType, device: &Device) -> Result<()> {
        self.trained.prepare(tasks.iter().map(String::as_str), dtype, device)
    }

    fn params(&self) -> Named<Param> {
        self.trained.params("ldc")
    }
}

impl Stateful for Ldc {
    fn save(&self) -> Result<State> {
        Ok(State { tensors: self.trained.save()?.tensors, ..State::of(&self.first)? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let first = state.read("ldc")?;
        self.trained.restore(&State { tensors: state.tensors.clone(), ..State::of(&())? })?;
        self.first = first;
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    lambda: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { lambda: 0.1 }
    }
}

impl TryFrom<Fields> for Ldc {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.lambda)
    }
}

impl From<Ldc> for Fields {
    fn from(method: Ldc) -> Self {
        Self { lambda: method.lambda }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_differences_move_the_weights_and_they_become_equal() {
        let loss = |x: f64| Tensor::new(x, &Device::Cpu).unwrap();
        let mut ldc = Ldc::new(1.0).unwrap();
        ldc.scalarize(&Named::new([("a", loss(1.0)), ("b", loss(1.0))]).unwrap()).unwrap();
        let losses = Named::new([("a", loss(3.0)), ("b", loss(1.0))]).unwrap();
        for _ in 0..400 {
            let slopes = ldc.scalarize(&losses).unwrap().backward().unwrap();
            for param in ldc.params().values() {
                let slope = slopes.get(&param.var).unwrap();
                param.var.set(&(param.var.as_tensor() - (slope * 0.01).unwrap()).unwrap()).unwrap();
            }
        }
        // 3 σ₁ = σ₂.
        let share = ldc.shares(&losses).unwrap()["a"].to_scalar::<f64>().unwrap();
        assert!((share - 0.25).abs() < 0.01, "{share}");
    }
}
