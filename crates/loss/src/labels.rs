//! Class labels of a target on the host: read once, checked, each with its weight.

use candle_core::{DType, Tensor};
use taskweave_kernels::{Error, Result, Target};

use crate::element_weight;

/// Class labels with the weight of each.
#[derive(Debug)]
pub(crate) struct Labels {
    /// The class of each element; 0 where the element weighs 0.
    pub(crate) class: Vec<u32>,
    /// The weight of each element; 0 where it is unlabelled or ignored.
    pub(crate) weight: Vec<f64>,
    /// Elements of one sample.
    pub(crate) per_sample: usize,
}

impl Labels {
    /// Reads the labels of a target. Only labels that count are checked: what weighs 0 may hold anything.
    ///
    /// # Errors
    /// [`Error::DType`] for labels that are not u8, u32 or i64, [`Error::Parameter`] for a label outside
    /// `0..classes` or a bad weight.
    pub(crate) fn read(target: &Target, classes: usize, ignore: Option<i64>) -> Result<Self> {
        let values = host_labels(target.value())?;
        let mut weight = element_weight::per_element(target)?;
        let mut class = vec![0; values.len()];
        for ((value, weight), class) in values.into_iter().zip(&mut weight).zip(&mut class) {
            if Some(value) == ignore {
                *weight = 0.0;
            }
            if *weight > 0.0 {
                *class = in_range(value, classes)?;
            }
        }
        Ok(Self { class, weight, per_sample: target.value().elem_count() / target.len().max(1) })
    }

    /// Class and weight of every element that counts, with its position.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let elements = self.class.iter().zip(&self.weight).enumerate();
        elements.filter(|(_, (_, weight))| **weight > 0.0).map(|(at, (class, _))| (at, *class))
    }

    /// The mean weight of each sample's elements.
    pub(crate) fn sample_weights(&self) -> Vec<f64> {
        let n = self.per_sample.max(1);
        self.weight.chunks(n).map(|sample| sample.iter().sum::<f64>() / n as f64).collect()
    }
}

/// The number of classes of logits `[batch, classes, …]` that belong to labels `[batch, …]`.
///
/// # Errors
/// [`Error::DType`] and [`Error::Shape`].
pub(crate) fn classes_of(logits: &Tensor, target: &Target) -> Result<usize> {
    let (logit_dims, label_dims) = (logits.dims(), target.value().dims());
    if !logits.dtype().is_float() {
        return Err(Error::dtype("logits", "a floating-point dtype", logits.dtype()));
    }
    match logit_dims {
        [batch, classes, rest @ ..]
            if *batch == label_dims[0] && *rest == label_dims[1..] && *classes > 0 =>
        {
            Ok(*classes)
        }
        _ => Err(Error::shape("logits", expected_shape(label_dims), logit_dims)),
    }
}

fn expected_shape(labels: &[usize]) -> String {
    let rest: String = labels[1..].iter().map(|n| format!(", {n}")).collect();
    format!("[{}, classes{rest}] for labels {labels:?}", labels[0])
}

fn host_labels(value: &Tensor) -> Result<Vec<i64>> {
    match value.dtype() {
        DType::U8 | DType::U32 | DType::I64 => Ok(value.flatten_all()?.to_dtype(DType::I64)?.to_vec1()?),
        other => Err(Error::dtype("labels", "u32, i64 or u8", other)),
    }
}

fn in_range(label: i64, classes: usize) -> Result<u32> {
    let valid = u32::try_from(label).ok().filter(|l| (*l as usize) < classes);
    valid.ok_or_else(|| Error::parameter("label", format!("a class in 0..{classes}"), label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn only_labels_that_count_are_checked() {
        let value = Tensor::new(&[1i64, -7, -100], &Device::Cpu).unwrap();
        let weight = Tensor::new(&[1f32, 0.0, 1.0], &Device::Cpu).unwrap();
        let target = Target::weighted(value.clone(), weight).unwrap();
        let labels = Labels::read(&target, 2, Some(-100)).unwrap();
        assert_eq!(labels.counted().collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(labels.sample_weights(), [1.0, 0.0, 0.0]);
        let error = Labels::read(&Target::new(value).unwrap(), 2, None).unwrap_err();
        assert_eq!(error.to_string(), "label: expected a class in 0..2, found -7");
    }

    #[test]
    fn labels_of_a_wrong_dtype_or_shape_are_refused() {
        let target = Target::new(Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert!(matches!(Labels::read(&target, 2, None), Err(Error::DType { .. })));
        let logits = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
        let error = classes_of(&logits, &target).unwrap_err();
        assert_eq!(
            error.to_string(),
            "logits: expected shape [2, classes, 3] for labels [2, 3], found [2, 4]"
        );
    }
}
