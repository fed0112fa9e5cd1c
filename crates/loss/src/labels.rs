//! Class labels of a target on the host: read once, checked, each with its weight.

use candle_core::{DType, Tensor};
use taskweave_kernels::{Error, Result, Target};

use crate::element_weight;

/// Stands for the class of an element that does not count.
const SKIPPED: u32 = u32::MAX;

/// Class labels with the weight of each.
#[derive(Debug)]
pub(crate) struct Labels {
    class: Vec<u32>,
    /// One per sample, or one per element.
    weight: Vec<f64>,
    per_sample: usize,
}

impl Labels {
    /// Reads the labels of a target. Only labels that count are checked: what weighs 0 may hold anything.
    ///
    /// # Errors
    /// [`Error::DType`] for labels that are not u8, u32 or i64, [`Error::Parameter`] for a label outside
    /// `0..classes` or a bad weight.
    pub(crate) fn read(target: &Target, classes: usize, ignore: Option<i64>) -> Result<Self> {
        let per_sample = target.value().elem_count() / target.len().max(1);
        let weight = element_weight::checked(target.weight())?;
        let elements_per_weight = if target.weight().rank() == 1 { per_sample } else { 1 };
        let resolve = |(at, label): (usize, i64)| {
            let counts = Some(label) != ignore && weight[at / elements_per_weight] > 0.0;
            if counts { in_range(label, classes) } else { Ok(SKIPPED) }
        };
        let values = target.value().flatten_all()?;
        let class: Result<Vec<u32>> = match values.dtype() {
            DType::U32 => {
                values.to_vec1::<u32>()?.into_iter().map(i64::from).enumerate().map(resolve).collect()
            }
            DType::U8 | DType::I64 => {
                values.to_dtype(DType::I64)?.to_vec1()?.into_iter().enumerate().map(resolve).collect()
            }
            other => Err(Error::dtype("labels", "u32, i64 or u8", other)),
        };
        Ok(Self { class: class?, weight, per_sample })
    }

    /// Elements of one sample.
    pub(crate) fn per_sample(&self) -> usize {
        self.per_sample
    }

    /// Position and class of every element that counts.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.class.iter().copied().enumerate().filter(|(_, class)| *class != SKIPPED)
    }

    /// Position within the sample, class and share of every element of a sample that counts; the shares sum to 1.
    pub(crate) fn shares_of(&self, sample: usize) -> impl Iterator<Item = (usize, u32, f64)> + '_ {
        let start = sample * self.per_sample;
        let counted = move || {
            let classes = self.class[start..start + self.per_sample].iter().copied().enumerate();
            classes.filter(|(_, class)| *class != SKIPPED)
        };
        let total: f64 = counted().map(|(at, _)| self.weight(start + at)).sum();
        counted().map(move |(at, class)| (at, class, self.weight(start + at) / total))
    }

    /// The weight of every element; 0 where it does not count.
    pub(crate) fn weights(&self) -> Vec<f64> {
        let weight = |(at, class): (usize, &u32)| if *class == SKIPPED { 0.0 } else { self.weight(at) };
        self.class.iter().enumerate().map(weight).collect()
    }

    /// The mean weight of each sample's elements.
    pub(crate) fn sample_weights(&self) -> Vec<f64> {
        let n = self.per_sample.max(1);
        self.weights().chunks(n).map(|sample| sample.iter().sum::<f64>() / n as f64).collect()
    }

    fn weight(&self, at: usize) -> f64 {
        let per_element = self.weight.len() == self.class.len();
        self.weight[if per_element { at } else { at / self.per_sample }]
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
        assert_eq!(labels.shares_of(0).collect::<Vec<_>>(), [(0, 1, 1.0)]);
        assert_eq!(labels.shares_of(1).count(), 0);
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
