//! Soft Dice loss: one minus the overlap of predicted and true region.
//!
//! Given the probability p_e and the truth t_e of each element e of a class, and the smoothing s,
//!     D_c = (2·Σ_e w_e p_e t_e + s) / (Σ_e w_e p_e + Σ_e w_e t_e + s),   ℓ = 1 − mean_c D_c
//! per sample, each weight w_e taken relative to the largest of its sample. With labels p is the softmax over the classes, with masks the sigmoid of each channel. Unlike a
//! mean over elements it does not care how small the region is.
//! Variants: per sample, where some code sums over the batch first; a class that is absent and not predicted
//! counts as right (D = 1).
//! Reference: Milletari et al., "V-Net", 3DV 2016, <https://arxiv.org/abs/1606.04797>.

use candle_core::{Result as CandleResult, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    elementwise::{in_unit_interval, magnitude, matching_value},
    softmax::log_softmax,
};
use crate::{
    element_weight,
    labels::{Labels, classes_of},
    parameter,
};

/// Soft Dice loss on dense logits.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `smooth` | 1 | > 0 | added above and below; the loss of an empty region stays defined |
///
/// # Shapes
/// Logits `[batch, classes, …]` with at least one dimension behind the classes; target either labels
/// `[batch, …]` (u32, i64 or u8: classes exclude each other, softmax) or masks of the shape of the logits
/// (floating point in [0, 1]: channels are independent, sigmoid; one channel is a binary mask).
///
/// # Errors
/// [`Error::Shape`], [`Error::DType`], and [`Error::Parameter`] for a label outside `0..classes` or a mask outside
/// [0, 1].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::Dice};
/// let logits = Tensor::new(&[[[800f64, 800.0, -800.0]]], &Device::Cpu)?; // predicts the first two elements
/// let target = Target::new(Tensor::new(&[[[1f64, 0.0, 0.0]]], &Device::Cpu)?)?;
/// let losses = Dice::new(1.0)?.losses(&logits, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [0.25]); // 1 − (2·1 + 1) / (2 + 1 + 1)
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Dice {
    smooth: f64,
}

impl Dice {
    /// Overlaps are smoothed by `smooth` elements.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `smooth` is not a finite number > 0.
    pub fn new(smooth: f64) -> Result<Self> {
        Ok(Self { smooth: parameter::positive("smooth", smooth)? })
    }

    fn overlap_losses(&self, region: &Region) -> CandleResult<Tensor> {
        let Region { probability, truth, weight } = region;
        let p = probability.mul(weight)?;
        let overlap = p.mul(truth)?.sum(2)?.affine(2.0, self.smooth)?;
        let total = (p.sum(2)? + truth.mul(weight)?.sum(2)?)?.affine(1.0, self.smooth)?;
        overlap.div(&total)?.mean(1)?.affine(-1.0, 1.0)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self { smooth: 1.0 }
    }
}

impl Criterion for Dice {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        if prediction.rank() < 3 {
            return Err(Error::shape("logits", "[batch, classes, …] of rank 3 or more", prediction.dims()));
        }
        if target.is_empty() {
            return Ok(Tensor::zeros(0, prediction.dtype(), prediction.device())?);
        }
        let region = match target.value().dtype().is_float() {
            true => Region::of_masks(prediction, target)?,
            false => Region::of_labels(prediction, target)?,
        };
        Ok(self.overlap_losses(&region)?)
    }
}

/// What is compared, each `[batch, classes, elements]`.
struct Region {
    probability: Tensor,
    truth: Tensor,
    weight: Tensor,
}

impl Region {
    fn of_labels(logits: &Tensor, target: &Target) -> Result<Self> {
        let classes = classes_of(logits, target)?;
        let labels = Labels::read(target, classes, None)?;
        let n = labels.per_sample();
        let mut relative = labels.weights();
        to_relative(&mut relative, n);
        let shape = (target.len(), classes, n);
        let (mut truth, mut weight) = (vec![0.0; logits.elem_count()], vec![0.0; logits.elem_count()]);
        for (at, label) in labels.counted() {
            let offset = |class: usize| (at / n * classes + class) * n + at % n;
            truth[offset(label as usize)] = 1.0;
            (0..classes).for_each(|class| weight[offset(class)] = relative[at]);
        }
        Self::new(logits, shape, truth, weight, |x| log_softmax(x)?.exp())
    }

    fn of_masks(logits: &Tensor, target: &Target) -> Result<Self> {
        let value = matching_value(logits, target)?;
        let shape = (logits.dims()[0], logits.dims()[1], logits.dims()[2..].iter().product());
        let mut weight = element_weight::per_element(target)?;
        to_relative(&mut weight, shape.1 * shape.2);
        let mut truth = element_weight::to_host(&value)?;
        truth.iter_mut().zip(&weight).filter(|(_, w)| **w == 0.0).for_each(|(t, _)| *t = 0.0);
        let region = Self::new(logits, shape, truth, weight, sigmoid)?;
        in_unit_interval("mask", &region.truth)?;
        Ok(region)
    }

    fn new(
        logits: &Tensor,
        shape: (usize, usize, usize),
        truth: Vec<f64>,
        weight: Vec<f64>,
        link: impl Fn(&Tensor) -> CandleResult<Tensor>,
    ) -> Result<Self> {
        let on_device = |values: Vec<f64>| -> CandleResult<Tensor> {
            Tensor::from_vec(values, shape, logits.device())?.to_dtype(logits.dtype())
        };
        let (truth, weight) = (on_device(truth)?, on_device(weight)?);
        let logits = logits.reshape(shape)?;
        let kept = weight.gt(0.0)?.where_cond(&logits, &logits.zeros_like()?)?;
        Ok(Self { probability: link(&kept)?, truth, weight })
    }
}

/// Divides the weights of each sample by the largest, so that the weight of a sample does not change its loss.
fn to_relative(weights: &mut [f64], per_sample: usize) {
    for sample in weights.chunks_mut(per_sample.max(1)) {
        let largest = sample.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            sample.iter_mut().for_each(|w| *w /= largest);
        }
    }
}

/// 1/(1 + e^−x) with neither overflow nor NaN slope.
fn sigmoid(x: &Tensor) -> CandleResult<Tensor> {
    let e = magnitude(x)?.neg()?.exp()?;
    let large = e.affine(1.0, 1.0)?.recip()?;
    x.lt(0.0)?.where_cond(&e.mul(&large)?, &large)
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    smooth: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { smooth: Dice::default().smooth }
    }
}

impl TryFrom<Fields> for Dice {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.smooth)
    }
}
