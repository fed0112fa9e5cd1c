//! Predictions and targets on the host, and what it means to have seen none.

use candle_core::Tensor;
use taskweave_kernels::{Error, Result, Target};

use crate::{
    element_weight::{per_element, to_host},
    labels::{Labels, classes_of},
};

/// Prediction and target of every element that counts, for metrics that compare number with number.
pub(super) fn pairs(metric: &str, prediction: &Tensor, target: &Target) -> Result<Vec<(f64, f64)>> {
    if prediction.dims() != target.value().dims() {
        let expected = format!("{:?} of the target", target.value().dims());
        return Err(Error::shape("prediction", expected, prediction.dims()));
    }
    let values = to_host(prediction)?.into_iter().zip(to_host(target.value())?);
    let counted = values.zip(per_element(target)?).filter(|(_, weight)| *weight > 0.0);
    counted.map(|((p, t), _)| if p.is_nan() { Err(not_a_number(metric)) } else { Ok((p, t)) }).collect()
}

/// True and predicted class of every element that counts; of equal logits the first class is predicted.
pub(super) fn classes(
    metric: &str,
    logits: &Tensor,
    target: &Target,
    (classes, ignore): (usize, Option<i64>),
) -> Result<Vec<(u32, u32)>> {
    let found = classes_of(logits, target)?;
    if found != classes {
        return Err(Error::shape("logits", format!("[batch, {classes}, …]"), logits.dims()));
    }
    let labels = Labels::read(target, classes, ignore)?;
    let (n, scores) = (labels.per_sample(), to_host(logits)?);
    let predict = |(at, label): (usize, u32)| {
        let start = at / n * classes * n + at % n;
        let predicted = largest((0..classes).map(|c| scores[start + c * n]));
        predicted.map(|p| (label, p)).ok_or_else(|| not_a_number(metric))
    };
    labels.counted().map(predict).collect()
}

/// The error of a metric that has seen nothing.
pub(super) fn nothing_seen(metric: &str) -> Error {
    Error::parameter(format!("samples of {metric}"), "at least one of weight > 0", 0)
}

fn not_a_number(metric: &str) -> Error {
    Error::non_finite("prediction", metric)
}

/// The position of the largest score, the first of equals; `None` where one is NaN.
fn largest(scores: impl Iterator<Item = f64>) -> Option<u32> {
    let mut best = (0, f64::NEG_INFINITY);
    for (at, score) in (0..).zip(scores) {
        if score.is_nan() {
            return None;
        }
        if score > best.1 {
            best = (at, score);
        }
    }
    Some(best.0)
}
