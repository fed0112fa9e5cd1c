//! What every criterion must hold, one row per criterion.

mod table;

use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;
use table::{Row, numbers, rows, wave, whole};
use taskweave_kernels::{Error, Target};
use taskweave_loss::{CriterionConfig, mean_loss, weighted_mean};

fn ones() -> Tensor {
    Tensor::ones(3, DType::F64, &Device::Cpu).unwrap()
}

#[test]
fn gradients_are_those_of_central_differences() {
    // Where one side is taken as a constant, the gradient is not that of the value; its own file has a test of it.
    for row in rows().into_iter().filter(|row| row.config != r#"{"name": "pairwise_kl"}"#) {
        let exact = numbers(&row.gradient(&row.prediction, &ones()));
        let (values, step) = (row.prediction(), 1e-6);
        for (i, exact) in exact.iter().enumerate() {
            let at = |shift: f64| {
                let mut values = values.clone();
                values[i] += shift;
                row.total(&values, &ones())
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            assert!((difference - exact).abs() < 1e-7, "{} [{i}]: {difference} {exact}", row.config);
        }
    }
}

#[test]
fn each_sample_has_its_own_loss_in_the_dtype_of_the_prediction() {
    for row in rows() {
        let target = Target::new(row.target.clone()).unwrap();
        let together = row.criterion().losses(&row.prediction, &target).unwrap();
        assert_eq!((together.dims(), together.dtype()), (&[3][..], DType::F64), "{}", row.config);
        let single = row.criterion().losses(&row.prediction.to_dtype(DType::F32).unwrap(), &target).unwrap();
        assert_eq!(single.dtype(), DType::F32, "{}", row.config);
        for (i, loss) in numbers(&together).iter().enumerate() {
            let alone = Target::new(row.target.narrow(0, i, 1).unwrap()).unwrap();
            let alone = row.criterion().losses(&row.prediction.narrow(0, i, 1).unwrap(), &alone).unwrap();
            let same = (numbers(&alone)[0] - loss).abs() < 1e-14;
            assert_ne!(same, row.criterion().compares_samples(), "{} [{i}]", row.config);
            assert!((numbers(&single)[i] - loss).abs() < 1e-5 * (1.0 + loss.abs()), "{} [{i}]", row.config);
        }
    }
}

#[test]
fn a_sample_of_weight_zero_counts_for_nothing_whatever_it_holds() {
    let weight = Tensor::new(&[1f64, 0.0, 2.0], &Device::Cpu).unwrap();
    for mut row in rows() {
        let part = |x: &Tensor, i| x.narrow(0, i, 1).unwrap();
        let others = |x: &Tensor| Tensor::cat(&[part(x, 0), part(x, 2)], 0).unwrap();
        let (prediction, target) = (others(&row.prediction), others(&row.target));
        let rest = Row { config: row.config, prediction, target };
        let clean = rest.gradient(&rest.prediction, &ones().narrow(0, 0, 2).unwrap());
        let per_sample = row.prediction.elem_count() / 3;
        let mut values = row.prediction();
        values[per_sample..2 * per_sample].fill(f64::NAN);
        let garbage = match row.target.dtype() {
            DType::U32 => row.target.ones_like().unwrap().affine(9e3, 0.0).unwrap(),
            _ => (row.target.ones_like().unwrap() * f64::NAN).unwrap(),
        };
        let target = [part(&row.target, 0), part(&garbage, 1), part(&row.target, 2)];
        row.target = Tensor::cat(&target, 0).unwrap();
        let prediction = Var::from_tensor(&row.reshaped(&values)).unwrap();
        let gradient = row.gradient(&prediction, &weight);
        assert!(numbers(&part(&gradient, 1)).iter().all(|g| *g == 0.0), "{}: {gradient}", row.config);
        for (place, i) in [0, 2].into_iter().enumerate() {
            let (found, expected) = (numbers(&part(&gradient, i)), numbers(&part(&clean, place)));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{}", row.config);
        }
        let target = Target::weighted(row.target.clone(), weight.clone()).unwrap();
        let losses = numbers(&row.criterion().losses(&prediction, &target).unwrap());
        assert_eq!(losses[1], 0.0, "{}", row.config);
        let mean = mean_loss(&*row.criterion(), &prediction, &target).unwrap().to_scalar::<f64>().unwrap();
        assert!((mean - (losses[0] + 2.0 * losses[2]) / 3.0).abs() < 1e-14, "{}", row.config);
    }
}

#[test]
fn logits_of_eight_hundred_are_finite_in_both_dtypes() {
    for row in rows().iter().filter(|row| !row.config.contains("poisson") && !row.config.contains("log_loss"))
    {
        let signs = row.prediction.sign().unwrap();
        for dtype in [DType::F32, DType::F64] {
            let extreme = (&signs * 800.0).unwrap().to_dtype(dtype).unwrap();
            let target = Target::new(row.target.clone()).unwrap();
            let losses = numbers(&row.criterion().losses(&extreme, &target).unwrap());
            assert!(losses.iter().all(|l| l.is_finite()), "{}: {losses:?}", row.config);
            let gradient = numbers(&row.gradient(&extreme, &ones()));
            assert!(gradient.iter().all(|g| g.is_finite()), "{}: {gradient:?}", row.config);
        }
    }
}

#[test]
fn what_does_not_fit_is_a_typed_error() {
    for row in rows() {
        let losses = |prediction: &Tensor, target: &Tensor| {
            row.criterion().losses(prediction, &Target::new(target.clone()).unwrap()).unwrap_err()
        };
        let (prediction, target) = (&row.prediction, &row.target);
        let shorter = target.narrow(0, 0, 2).unwrap();
        assert!(matches!(losses(prediction, &shorter), Error::Shape { .. }), "{}", row.config);
        let flat = prediction.flatten_all().unwrap();
        assert!(matches!(losses(&flat, target), Error::Shape { .. }), "{}", row.config);
        let label = prediction.to_dtype(DType::U32).unwrap();
        assert!(matches!(losses(&label, target), Error::DType { .. }), "{}", row.config);
    }
}

#[test]
fn a_target_of_the_wrong_dtype_is_a_typed_error() {
    let any = ["dice", "jensen_shannon", "pairwise_kl", "cross_pseudo", "nt_xent", "clip"];
    for row in rows().iter().filter(|row| !any.iter().any(|name| row.config.contains(name))) {
        let other = if row.target.dtype().is_float() { DType::U32 } else { DType::F32 };
        let target = Target::new(row.target.to_dtype(other).unwrap()).unwrap();
        let error = row.criterion().losses(&row.prediction, &target).unwrap_err();
        assert!(matches!(error, Error::DType { .. }), "{}: {error}", row.config);
    }
}

#[test]
fn a_config_survives_a_round_trip_and_refuses_unknown_parameters() {
    for row in rows() {
        let config: CriterionConfig = serde_json::from_str(row.config).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<CriterionConfig>(&text).unwrap(), config);
        let unknown = row.config.replace('}', r#", "delte": 1}"#);
        let error = serde_json::from_str::<CriterionConfig>(&unknown).unwrap_err().to_string();
        assert!(error.contains("unknown field `delte`"), "{unknown}: {error}");
    }
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for (config, name) in [
        (r#"{"name": "cross_entropy", "class_weights": [1, -1]}"#, "class_weights"),
        (r#"{"name": "cross_entropy", "label_smoothing": 1.5}"#, "label_smoothing"),
        (r#"{"name": "bce_with_logits", "pos_weight": 0}"#, "pos_weight"),
        (r#"{"name": "log_loss", "epsilon": 0}"#, "epsilon"),
        (r#"{"name": "sigmoid_focal", "alpha": -0.1}"#, "alpha"),
        (r#"{"name": "sigmoid_focal", "gamma": -1}"#, "gamma"),
        (r#"{"name": "huber", "delta": 0}"#, "delta"),
        (r#"{"name": "smooth_l1", "beta": -1}"#, "beta"),
        (r#"{"name": "dice", "smooth": 0}"#, "smooth"),
        (r#"{"name": "nt_xent", "temperature": 0}"#, "temperature"),
        (r#"{"name": "clip", "temperature": -1}"#, "temperature"),
    ] {
        let error = serde_json::from_str::<CriterionConfig>(config).unwrap_err().to_string();
        assert!(error.starts_with(name), "{config}: {error}");
    }
}

fn losses_of(config: &str, prediction: Tensor, target: Tensor) -> Result<Vec<f64>, Error> {
    let criterion = serde_json::from_str::<CriterionConfig>(config).unwrap().build();
    Ok(numbers(&criterion.losses(&prediction, &Target::new(target)?)?))
}

#[test]
fn values_out_of_range_are_refused() {
    let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
    let error = |config: &str, p, t| losses_of(config, p, t).unwrap_err().to_string();
    let labels = whole(&[0, 4, 1], &[3]);
    assert_eq!(
        error(r#"{"name": "cross_entropy"}"#, wave(&[3, 4]), labels.clone()),
        "label: expected a class in 0..4, found 4"
    );
    let weighted = r#"{"name": "cross_entropy", "class_weights": [1, 2]}"#;
    assert_eq!(
        error(weighted, wave(&[3, 4]), labels),
        "class_weights: expected 4 numbers, one per class, found 2"
    );
    for name in ["bce_with_logits", "sigmoid_focal", "log_loss"] {
        let config = format!(r#"{{"name": "{name}"}}"#);
        assert_eq!(
            error(&config, tensor(&[0.5]), tensor(&[2.0])),
            format!("target of {name}: expected numbers in [0, 1], found 2")
        );
    }
    assert_eq!(
        error(r#"{"name": "log_loss"}"#, tensor(&[f64::NAN]), tensor(&[1.0])),
        "prediction of log_loss: expected numbers in [0, 1], found NaN"
    );
    assert_eq!(
        error(
            r#"{"name": "kl_divergence"}"#,
            wave(&[1, 2]),
            Tensor::new(&[[1.5f64, -0.5]], &Device::Cpu).unwrap()
        ),
        "soft target: expected numbers in [0, 1], found 1.5"
    );
}

#[test]
fn ignored_labels_of_any_integer_dtype_leave_the_mean_over_the_others() {
    let config = r#"{"name": "cross_entropy", "ignore_index": 7}"#;
    let criterion = serde_json::from_str::<CriterionConfig>(config).unwrap().build();
    // Per element: log 2 where the logits are equal; the first sample has one counted element, the second two.
    let logits = Tensor::new(&[[[0f64, 0.0], [0.0, 9.0]], [[800.0, 0.0], [0.0, 0.0]]], &Device::Cpu).unwrap();
    for dtype in [DType::U8, DType::U32, DType::I64] {
        let labels = Tensor::new(&[[1u32, 7], [1, 0]], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let target = Target::new(labels).unwrap();
        let losses = numbers(&criterion.losses(&logits, &target).unwrap());
        let half = (800.0 + 2f64.ln()) / 2.0;
        assert!((losses[0] - 2f64.ln()).abs() < 1e-15 && (losses[1] - half).abs() < 1e-12);
        assert_eq!(numbers(&criterion.weight(&target).unwrap()), [0.5, 1.0]);
        let mean = mean_loss(&*criterion, &logits, &target).unwrap().to_scalar::<f64>().unwrap();
        assert!((mean - (2.0 * 2f64.ln() + 800.0) / 3.0).abs() < 1e-4);
    }
}

#[test]
fn a_weight_per_element_makes_a_weighted_mean_over_elements() {
    let weight = Tensor::new(&[[1f64, 0.0, 3.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let value = Tensor::new(&[[1f64, f64::NAN, 2.0], [5.0, 5.0, 5.0]], &Device::Cpu).unwrap();
    let criterion = serde_json::from_str::<CriterionConfig>(r#"{"name": "mse"}"#).unwrap().build();
    let target = Target::weighted(value.clone(), weight).unwrap();
    let losses = criterion.losses(&value.zeros_like().unwrap(), &target).unwrap();
    assert_eq!(numbers(&losses), [(1.0 + 3.0 * 4.0) / 4.0, 0.0]);
    let mean = weighted_mean(&losses, &criterion.weight(&target).unwrap()).unwrap();
    assert!((mean.to_scalar::<f64>().unwrap() - 3.25).abs() < 1e-15);
}

#[test]
fn the_fused_and_the_composed_cross_entropy_agree() {
    // Half precision takes the composition; logits of few bits are exact in both.
    for row in rows().iter().filter(|row| row.config.contains(r#""cross_entropy""#)) {
        let coarse = ((&row.prediction * 4.0).unwrap().round().unwrap() / 4.0).unwrap();
        let target = Target::new(row.target.clone()).unwrap();
        let fused = numbers(&row.criterion().losses(&coarse, &target).unwrap());
        let half = coarse.to_dtype(DType::F16).unwrap();
        let composed = numbers(&row.criterion().losses(&half, &target).unwrap());
        for (fused, composed) in fused.iter().zip(&composed) {
            assert!(
                (fused - composed).abs() < 5e-3 * (1.0 + fused.abs()),
                "{}: {fused} {composed}",
                row.config
            );
        }
        let (exact, rough) = (row.gradient(&coarse, &ones()), row.gradient(&half, &ones()));
        for (exact, rough) in numbers(&exact).iter().zip(numbers(&rough)) {
            assert!((exact - rough).abs() < 5e-3, "{}: {exact} {rough}", row.config);
        }
    }
}

#[test]
fn an_empty_batch_has_the_loss_zero() {
    for row in rows() {
        let target = Target::new(row.target.narrow(0, 0, 0).unwrap()).unwrap();
        let none = row.prediction.narrow(0, 0, 0).unwrap();
        let mean = mean_loss(&*row.criterion(), &none, &target).unwrap();
        assert_eq!(mean.to_scalar::<f64>().unwrap(), 0.0, "{}", row.config);
    }
}

proptest! {
    #[test]
    fn cross_entropy_ignores_a_common_shift_and_its_slopes_cancel(
        logits in prop::collection::vec(-50f64..50.0, 5),
        shift in -500f64..500.0,
        label in 0u32..5,
    ) {
        let criterion = serde_json::from_str::<CriterionConfig>(r#"{"name": "cross_entropy"}"#).unwrap().build();
        let target = Target::new(whole(&[label], &[1])).unwrap();
        let x = Var::from_tensor(&Tensor::from_slice(&logits, (1, 5), &Device::Cpu).unwrap()).unwrap();
        let loss = criterion.losses(&x, &target).unwrap();
        let moved = criterion.losses(&(x.as_tensor() + shift).unwrap(), &target).unwrap();
        prop_assert!((numbers(&loss)[0] - numbers(&moved)[0]).abs() < 1e-10);
        prop_assert!(numbers(&loss)[0] >= 0.0);
        let slopes = numbers(loss.backward().unwrap().get(&x).unwrap());
        prop_assert!(slopes.iter().sum::<f64>().abs() < 1e-12);
    }

    #[test]
    fn the_weighted_mean_lies_between_its_losses_and_ignores_the_scale_of_the_weights(
        pairs in prop::collection::vec((-10f64..10.0, 0.1f64..10.0), 1..20),
        scale in 0.01f64..100.0,
    ) {
        let (losses, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let on = |v: &[f64]| Tensor::new(v, &Device::Cpu).unwrap();
        let mean = |w: &[f64]| weighted_mean(&on(&losses), &on(w)).unwrap().to_scalar::<f64>().unwrap();
        let scaled: Vec<f64> = weights.iter().map(|w| w * scale).collect();
        let value = mean(&weights);
        prop_assert!((value - mean(&scaled)).abs() < 1e-12);
        let (low, high) = losses.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
        prop_assert!(low - 1e-12 <= value && value <= high + 1e-12);
    }
}
