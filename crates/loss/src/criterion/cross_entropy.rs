//! Cross-entropy of class labels with the softmax of logits.
//!
//! Given logits x, p = softmax(x), a label y, class weights w and the smoothing ε over C classes,
//!     ℓ = −(1 − ε)·w_y·log p_y − (ε/C)·Σ_c w_c·log p_c.
//! Cost: on the CPU one fused node, one pass over the logits forward and one backward; on other devices a
//! composition around a log-softmax.
//! Variants: a class weight scales the loss of an element and does not enter the denominator of the mean, so that
//! the batch mean stays Σwᵢℓᵢ/Σwᵢ with the weights of the *target*; some libraries divide by Σ w_y instead.
//! Reference: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016 (label smoothing),
//! <https://arxiv.org/abs/1512.00567>.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{
    Criterion,
    fused_cross_entropy::{FusedCrossEntropy, SmoothedLabels},
    softmax::log_softmax,
};
use crate::{
    element_weight,
    labels::{Labels, classes_of},
    parameter,
};

/// Cross-entropy with class labels.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `class_weights` | all 1 | ≥ 0, one per class | factor of the loss by class |
/// | `label_smoothing` | 0 | [0, 1] | share of the target that is spread evenly over all classes |
/// | `ignore_index` | none | any | label of elements that do not count, such as 255 for a void region |
///
/// # Shapes
/// Logits `[batch, classes, …]`; labels `[batch, …]`, u32, i64 or u8. A weight per element takes the shape of
/// the labels. Labels of weight 0 may hold anything.
///
/// # Errors
/// [`Error::Shape`] and [`Error::DType`] for labels that do not fit the logits, [`Error::Parameter`] for a label
/// outside `0..classes` and for class weights of another number.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::CrossEntropy};
/// let logits = Tensor::new(&[[0f64, 0.0], [800.0, -800.0]], &Device::Cpu)?;
/// let target = Target::new(Tensor::new(&[1u32, 1], &Device::Cpu)?)?;
/// let losses = CrossEntropy::default().losses(&logits, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [2f64.ln(), 1600.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct CrossEntropy {
    class_weights: Option<Vec<f64>>,
    label_smoothing: f64,
    ignore_index: Option<i64>,
}

impl CrossEntropy {
    /// Scales the loss of each element by the weight of its class.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is negative or not finite.
    pub fn with_class_weights(mut self, weights: Vec<f64>) -> Result<Self> {
        for weight in &weights {
            parameter::non_negative("class_weights", *weight)?;
        }
        self.class_weights = Some(weights);
        Ok(self)
    }

    /// Spreads a share of the target evenly over all classes.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside [0, 1].
    pub fn with_label_smoothing(mut self, share: f64) -> Result<Self> {
        self.label_smoothing = parameter::fraction("label_smoothing", share)?;
        Ok(self)
    }

    /// Leaves out elements with this label.
    pub fn with_ignore_index(mut self, label: i64) -> Self {
        self.ignore_index = Some(label);
        self
    }

    fn weights_of(&self, classes: usize) -> Result<Vec<f64>> {
        match &self.class_weights {
            None => Ok(vec![1.0; classes]),
            Some(weights) if weights.len() == classes => Ok(weights.clone()),
            Some(weights) => Err(Error::parameter(
                "class_weights",
                format!("{classes} numbers, one per class"),
                weights.len(),
            )),
        }
    }
}

impl Criterion for CrossEntropy {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        let classes = classes_of(prediction, target)?;
        let class_weights = self.weights_of(classes)?;
        let labels = Labels::read(target, classes, self.ignore_index)?;
        let shape = (target.len(), classes, labels.per_sample());
        let smoothed = SmoothedLabels { labels, class_weights, smoothing: self.label_smoothing };
        if prediction.device().is_cpu() && matches!(prediction.dtype(), DType::F32 | DType::F64) {
            return FusedCrossEntropy::apply(smoothed, prediction);
        }
        composed(&smoothed, &prediction.reshape(shape)?)
    }

    fn weight(&self, target: &Target) -> Result<Tensor> {
        if self.ignore_index.is_none() {
            return target.sample_weight();
        }
        // Whether labels are in range is the business of the losses.
        let labels = Labels::read(target, u32::MAX as usize + 1, self.ignore_index)?;
        let weights = Tensor::from_vec(labels.sample_weights(), target.len(), target.value().device())?;
        Ok(weights.to_dtype(target.weight().dtype())?)
    }
}

/// The same losses from candle's operations, for devices and dtypes that the fused node does not serve.
fn composed(target: &SmoothedLabels, logits: &Tensor) -> Result<Tensor> {
    let (batch, classes, per_sample) = logits.dims3()?;
    let on_device = |values: Vec<f64>, shape: (usize, usize, usize)| -> Result<Tensor> {
        Ok(Tensor::from_vec(values, shape, logits.device())?.to_dtype(logits.dtype())?)
    };
    let (mut share, mut factor) = (target.labels.weights(), vec![0.0; batch * per_sample]);
    let mut label = vec![0u32; batch * per_sample];
    element_weight::to_shares(&mut share, per_sample);
    for (at, class) in target.labels.counted() {
        (label[at], factor[at]) = (class, target.label_factor(class));
    }
    let elements = (batch, 1, per_sample);
    let share = on_device(share, elements)?;
    let counts = share.gt(0.0)?.broadcast_as(logits.shape())?;
    let log_p = log_softmax(&counts.where_cond(logits, &logits.zeros_like()?)?)?.contiguous()?;
    let label = Tensor::from_vec(label, elements, logits.device())?;
    let picked = log_p.gather(&label, 1)?.mul(&on_device(factor, elements)?)?;
    let even = log_p.broadcast_mul(&on_device(target.even_factors(), (1, classes, 1))?)?.sum_keepdim(1)?;
    Ok((picked + even)?.mul(&share)?.flatten_from(1)?.sum(1)?.neg()?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    class_weights: Option<Vec<f64>>,
    #[serde(default)]
    label_smoothing: f64,
    ignore_index: Option<i64>,
}

impl TryFrom<Fields> for CrossEntropy {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let criterion = Self { ignore_index: fields.ignore_index, ..Self::default() };
        let criterion = criterion.with_label_smoothing(fields.label_smoothing)?;
        match fields.class_weights {
            Some(weights) => criterion.with_class_weights(weights),
            None => Ok(criterion),
        }
    }
}
