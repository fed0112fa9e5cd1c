//! Weights as factors: the mean over the batch size instead of over the weights.
//!
//! Given another criterion with losses ℓᵢ and the weights wᵢ of the samples, the losses are wᵢ·ℓᵢ and every sample
//! weighs 1, so that the mean over a batch of B is
//!     (1/B)·Σ wᵢℓᵢ   where the other criterion alone has   Σ wᵢℓᵢ / Σ wᵢ.
//! Pseudo-labels need this: where few samples are trusted, the whole term is small (Sohn et al., NeurIPS 2020,
//! eq. 4), and a weight that ramps up over the steps does not cancel.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Result, Target};

use super::{Criterion, CriterionConfig};
use crate::element_weight;

/// Another criterion, its weights taken as factors.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `of` | – | any criterion | what gives the losses |
///
/// # Shapes
/// Those of the other criterion.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{CriterionConfig, criterion::{Absolute, Mse}, mean_loss};
/// let prediction = Tensor::new(&[3f64, 9.0], &Device::Cpu)?;
/// let half_of_one = Tensor::new(&[0.5f64, 0.0], &Device::Cpu)?;
/// let target = Target::weighted(prediction.zeros_like()?, half_of_one)?;
/// let mean = |criterion: CriterionConfig| mean_loss(&*criterion.build(), &prediction, &target)?.to_scalar::<f64>();
/// assert_eq!(mean(CriterionConfig::Mse(Mse))?, 9.0); // ½·9 / ½
/// assert_eq!(mean(CriterionConfig::Absolute(Absolute::new(CriterionConfig::Mse(Mse))))?, 2.25); // ½·9 / 2
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absolute {
    of: Box<CriterionConfig>,
}

impl Absolute {
    /// The weights of `criterion` as factors.
    pub fn new(criterion: CriterionConfig) -> Self {
        Self { of: Box::new(criterion) }
    }
}

impl Criterion for Absolute {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        let criterion = self.of.build();
        let losses = criterion.losses(prediction, target)?;
        let factors = criterion.weight(target)?.to_device(losses.device())?.to_dtype(losses.dtype())?;
        Ok(losses.mul(&factors)?)
    }

    fn weight(&self, target: &Target) -> Result<Tensor> {
        element_weight::checked(target.weight())?;
        Ok(self.of.build().weight(target)?.ones_like()?)
    }

    fn compares_samples(&self) -> bool {
        self.of.build().compares_samples()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criterion::{CrossEntropy, Mse};
    use crate::mean_loss;
    use candle_core::{Device, Var};
    use taskweave_kernels::Error;

    #[test]
    fn what_weighs_zero_dilutes_and_has_no_gradient() {
        let of = CriterionConfig::CrossEntropy(CrossEntropy::default());
        let logits = Var::new(&[[0f64, 0.0], [f64::NAN, 0.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[1u32, 9], &Device::Cpu).unwrap();
        let weight = Tensor::new(&[1f64, 0.0], &Device::Cpu).unwrap();
        let target = Target::weighted(labels, weight).unwrap();
        let mean = mean_loss(&Absolute::new(of), &logits, &target).unwrap();
        assert!((mean.to_scalar::<f64>().unwrap() - 0.5 * 2f64.ln()).abs() < 1e-15);
        let gradient = mean.backward().unwrap().get(&logits).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(gradient, [[0.25, -0.25], [0.0, 0.0]]);
    }

    #[test]
    fn weights_per_element_are_factors_too() {
        let x = Tensor::new(&[[2f64, 1.0], [1.0, 1.0]], &Device::Cpu).unwrap();
        let weight = Tensor::new(&[[1f64, 0.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let target = Target::weighted(x.zeros_like().unwrap(), weight).unwrap();
        let mean = mean_loss(&Absolute::new(CriterionConfig::Mse(Mse)), &x, &target).unwrap();
        assert_eq!(mean.to_scalar::<f64>().unwrap(), 1.0); // (1·4 + 0·1 + 0·1 + 0·1) / 4
    }

    #[test]
    fn bad_weights_are_refused() {
        let x = Tensor::new(&[1f64], &Device::Cpu).unwrap();
        let target = Target::weighted(x.clone(), Tensor::new(&[-1f64], &Device::Cpu).unwrap()).unwrap();
        let criterion = Absolute::new(CriterionConfig::Mse(Mse));
        assert!(matches!(mean_loss(&criterion, &x, &target), Err(Error::Parameter { .. })));
    }
}
