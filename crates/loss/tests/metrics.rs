//! What every metric must hold, one row per metric.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use taskweave_kernels::{Error, Named, Result, Target};
use taskweave_loss::{Direction, Metric, MetricConfig};

/// A metric with six samples that it accepts.
struct Row {
    config: &'static str,
    prediction: Tensor,
    target: Tensor,
    primary: (&'static str, Direction),
}

impl Row {
    fn metric(&self) -> Box<dyn Metric> {
        serde_json::from_str::<MetricConfig>(self.config).unwrap().build()
    }
}

/// The table: a new metric is tested by a new row.
fn rows() -> Vec<Row> {
    let device = &Device::Cpu;
    let row = |config, prediction, target, primary| Row { config, prediction, target, primary };
    let labels = Tensor::new(&[0u32, 2, 1, 0, 1, 2], device).unwrap();
    let masks: Vec<u32> = (0..24).map(|i| (i * i / 3) % 2).collect();
    let masks = Tensor::from_vec(masks, (6, 2, 2), device).unwrap();
    let binary = Tensor::new(&[1f64, 0.0, 1.0, 1.0, 0.0, 0.0], device).unwrap();
    vec![
        row(
            r#"{"name": "classification", "classes": 3}"#,
            wave(&[6, 3]),
            labels,
            ("accuracy", Direction::Higher),
        ),
        row(
            r#"{"name": "segmentation", "classes": 2, "ignore_index": 9}"#,
            wave(&[6, 2, 2, 2]),
            masks,
            ("mean_iou", Direction::Higher),
        ),
        row(r#"{"name": "binary"}"#, wave(&[6]), binary, ("roc_auc", Direction::Higher)),
        row(
            r#"{"name": "regression"}"#,
            wave(&[6, 2]),
            wave(&[12]).sqr().unwrap().reshape((6, 2)).unwrap(),
            ("rmse", Direction::Lower),
        ),
    ]
}

fn wave(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| 2.5 * (1.7 * i as f64 + 0.3).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn assert_equal(a: &Named<f64>, b: &Named<f64>) {
    for (name, value) in a.iter() {
        assert!((value - b[name]).abs() < 1e-12, "{name}: {value} {}", b[name]);
    }
}

fn over(row: &Row, batches: &[(usize, usize)]) -> Result<Named<f64>> {
    let mut metric = row.metric();
    for (start, count) in batches {
        let part = |x: &Tensor| x.narrow(0, *start, *count);
        metric.update(&part(&row.prediction)?, &Target::new(part(&row.target)?)?)?;
    }
    metric.values()
}

#[test]
fn values_do_not_depend_on_the_batches() {
    for row in rows() {
        let whole = over(&row, &[(0, 6)]).unwrap();
        assert_equal(&whole, &over(&row, &[(4, 2), (0, 1), (1, 3)]).unwrap());
        assert!(whole.values().all(|value| value.is_finite()));
        assert_eq!((row.metric().primary(), row.metric().direction()), row.primary);
        assert!(whole.contains(row.primary.0));
    }
}

#[test]
fn what_weighs_zero_is_skipped_and_a_small_weight_counts_once() {
    for row in rows() {
        let weight = Tensor::new(&[0.1f64, 1.0, 1.0, 1.0, 0.0, 0.0], &Device::Cpu).unwrap();
        let mut values = row.prediction.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let hidden = values.len() / 6 * 4;
        values[hidden..].fill(f64::NAN);
        let prediction = Tensor::from_vec(values, row.prediction.shape(), &Device::Cpu).unwrap();
        let mut metric = row.metric();
        metric.update(&prediction, &Target::weighted(row.target.clone(), weight).unwrap()).unwrap();
        assert_equal(&metric.values().unwrap(), &over(&row, &[(0, 4)]).unwrap());
    }
}

#[test]
fn a_refused_batch_and_a_reset_leave_nothing_behind() {
    for row in rows() {
        let mut metric = row.metric();
        let target = Target::new(row.target.clone()).unwrap();
        let broken = (&row.prediction * f64::NAN).unwrap();
        assert!(matches!(metric.update(&broken, &target), Err(Error::NonFinite { .. })), "{}", row.config);
        let short = row.prediction.narrow(0, 0, 5).unwrap();
        assert!(matches!(metric.update(&short, &target), Err(Error::Shape { .. })), "{}", row.config);
        assert!(matches!(metric.values(), Err(Error::Parameter { .. })), "{}", row.config);
        metric.update(&row.prediction, &target).unwrap();
        metric.reset();
        assert!(metric.values().is_err(), "{}", row.config);
    }
}

#[test]
fn targets_out_of_range_are_refused() {
    for row in rows() {
        let target = (row.target.ones_like().unwrap() * 5.0).unwrap();
        let result = row.metric().update(&row.prediction, &Target::new(target).unwrap());
        let any_value = row.config.contains("regression");
        assert_eq!(matches!(result, Err(Error::Parameter { .. })), !any_value, "{}", row.config);
    }
}

#[test]
fn a_target_of_another_dtype_is_refused_where_it_has_no_meaning() {
    for row in rows().iter().filter(|row| !row.config.contains("binary")) {
        let other = if row.target.dtype() == DType::U32 { DType::F32 } else { DType::U32 };
        let target = Target::new(row.target.to_dtype(other).unwrap()).unwrap();
        assert!(matches!(row.metric().update(&row.prediction, &target), Err(Error::DType { .. })));
    }
}

#[test]
fn an_ignored_label_is_skipped() {
    let logits = Tensor::new(&[[[1f32, 0.0, 0.0], [0.0, 1.0, 1.0]]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[[0i64, 0, -100]], &Device::Cpu).unwrap();
    let config = r#"{"name": "segmentation", "classes": 2, "ignore_index": -100}"#;
    let mut metric = serde_json::from_str::<MetricConfig>(config).unwrap().build();
    metric.update(&logits, &Target::new(labels).unwrap()).unwrap();
    assert_eq!(metric.values().unwrap()["pixel_accuracy"], 0.5);
}

#[test]
fn configs_are_checked_and_survive_a_round_trip() {
    for row in rows() {
        let config: MetricConfig = serde_json::from_str(row.config).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<MetricConfig>(&text).unwrap(), config);
        let unknown = row.config.replace('}', r#", "clases": 3}"#);
        assert!(serde_json::from_str::<MetricConfig>(&unknown).is_err(), "{unknown}");
    }
    let error = serde_json::from_str::<MetricConfig>(r#"{"name": "binary", "threshold": 2}"#).unwrap_err();
    assert_eq!(error.to_string(), "threshold: expected a number in [0, 1], found 2");
}

#[test]
fn logits_and_their_probabilities_have_the_same_values() {
    let rows = rows();
    let row = rows.iter().find(|row| row.config.contains("binary")).unwrap();
    let odds = row.prediction.neg().unwrap().exp().unwrap();
    let probabilities = Row {
        config: r#"{"name": "binary", "scores": "probabilities"}"#,
        prediction: (odds + 1.0).unwrap().recip().unwrap(),
        target: row.target.clone(),
        primary: row.primary,
    };
    assert_equal(&over(row, &[(0, 6)]).unwrap(), &over(&probabilities, &[(0, 6)]).unwrap());
}

proptest! {
    #[test]
    fn roc_auc_is_the_share_of_ordered_pairs(samples in prop::collection::vec((0u32..8, 0u32..2), 2..40)) {
        let (scores, truth): (Vec<u32>, Vec<u32>) = samples.into_iter().unzip();
        let mut metric = serde_json::from_str::<MetricConfig>(r#"{"name": "binary"}"#).unwrap().build();
        let on = |v: &[u32]| Tensor::new(v, &Device::Cpu).unwrap();
        let prediction = on(&scores).to_dtype(DType::F32).unwrap();
        metric.update(&prediction, &Target::new(on(&truth)).unwrap()).unwrap();
        let (mut ordered, mut pairs) = (0.0, 0.0);
        for (i, j) in (0..scores.len()).flat_map(|i| (0..scores.len()).map(move |j| (i, j))) {
            if truth[i] > truth[j] {
                pairs += 1.0;
                ordered += if scores[i] > scores[j] { 1.0 } else if scores[i] == scores[j] { 0.5 } else { 0.0 };
            }
        }
        let expected = if pairs > 0.0 { ordered / pairs } else { 0.5 };
        prop_assert!((metric.values().unwrap()["roc_auc"] - expected).abs() < 1e-12);
    }
}
