//! Uncertainty weighting: every task has a trained variance.
//!
//! With a trained sᵢ = log σᵢ² per task, 0 at first, the value is
//!     Σ ½ e^(−sᵢ) Lᵢ + ½ sᵢ,
//! which the sᵢ minimize at sᵢ = log Lᵢ. They are never decayed: decay would pull all weights to ½. A task that is missing
//! keeps its sᵢ. Losses below 0 have no minimum in sᵢ.
//! Reference: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
//! Semantics", CVPR 2018, <https://arxiv.org/abs/1705.07115>.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Param, Result, State, Stateful};

use super::{Scalarizer, terms::numbers, trained::Trained};

/// Uncertainty weighting: every task has a trained variance. It has no parameters to set.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::Uncertainty};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(2.0)?)])?;
/// let mut uncertainty = Uncertainty::default();
/// assert_eq!(uncertainty.scalarize(&losses)?.to_scalar::<f64>()?, 1.5); // ½ · 1 + ½ · 2
/// assert!(uncertainty.params().contains("uncertainty.mask"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncertainty {
    #[serde(skip)]
    trained: Trained,
}

impl Scalarizer for Uncertainty {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        numbers(losses)?;
        let terms = losses.try_map(|task, loss| {
            let s = self.trained.of(task, loss)?;
            Ok::<_, Error>(((s.neg()?.exp()? * loss)?.affine(0.5, 0.0)? + s.affine(0.5, 0.0)?)?)
        })?;
        super::terms::sum_of(&terms, |_, term| Ok(term.clone()))
    }

    fn prepare(&mut self, tasks: &[String], dtype: DType, device: &Device) -> Result<()> {
        self.trained.prepare(tasks.iter().map(String::as_str), dtype, device)
    }

    fn params(&self) -> Named<Param> {
        self.trained.params("uncertainty")
    }
}

impl Stateful for Uncertainty {
    fn save(&self) -> Result<State> {
        self.trained.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.trained.restore(state)
    }
}
