//! IMTL-L: every loss is brought to the same scale by a trained factor.
//!
//! With a trained sᵢ per task, 0 at first, the value is
//!     Σ e^(sᵢ) Lᵢ − sᵢ,
//! which the sᵢ minimize where every e^(sᵢ) Lᵢ is 1. They are never decayed. A task that is missing keeps its sᵢ. Losses below
//! 0 have no minimum in sᵢ.
//! Reference: Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021,
//! <https://openreview.net/forum?id=IMPnRXEWpvr>.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Param, Result, State, Stateful};

use super::{Scalarizer, terms::numbers, trained::Trained};

/// IMTL-L: every loss is brought to the same scale by a trained factor. It has no parameters to set.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Scalarizer, scalarizer::ImtlL};
/// let loss = |x: f64| Tensor::new(x, &Device::Cpu);
/// let losses = Named::new([("class", loss(1.0)?), ("mask", loss(2.0)?)])?;
/// let mut imtl = ImtlL::default();
/// assert_eq!(imtl.scalarize(&losses)?.to_scalar::<f64>()?, 3.0); // 1 + 2
/// assert!(imtl.params().contains("imtl_l.mask"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImtlL {
    #[serde(skip)]
    trained: Trained,
}

impl Scalarizer for ImtlL {
    fn scalarize(&mut self, losses: &Named<Tensor>) -> Result<Tensor> {
        numbers(losses)?;
        let terms = losses.try_map(|task, loss| {
            let s = self.trained.of(task, loss)?;
            Ok::<_, Error>(((s.exp()? * loss)? - s)?)
        })?;
        super::terms::sum_of(&terms, |_, term| Ok(term.clone()))
    }

    fn prepare(&mut self, tasks: &[String], dtype: DType, device: &Device) -> Result<()> {
        self.trained.prepare(tasks.iter().map(String::as_str), dtype, device)
    }

    fn params(&self) -> Named<Param> {
        self.trained.params("imtl_l")
    }
}

impl Stateful for ImtlL {
    fn save(&self) -> Result<State> {
        self.trained.save()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.trained.restore(state)
    }
}
