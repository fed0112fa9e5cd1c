//! Values of other libraries, from the files in the folder `TASKWEAVE_GOLDEN`.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};
use taskweave_kernels::{Named, Target};
use taskweave_loss::{
    Aggregated, AggregatorConfig, CriterionConfig, Jacobian, MetricConfig, ScalarizerConfig, scalarized,
};

/// The content of a golden file; `None`, with a message, where there is none.
fn golden(file: &str) -> Option<Value> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    let folder = std::env::var_os("TASKWEAVE_GOLDEN").map_or_else(beside, PathBuf::from);
    let path = folder.join(file);
    if !path.exists() {
        eprintln!("skipped: no golden values at {}", path.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn shape(value: &Value) -> Vec<usize> {
    match value.as_array() {
        None => vec![],
        Some(items) => [vec![items.len()], items.first().map(shape).unwrap_or_default()].concat(),
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value.as_array() {
        None => vec![value.as_f64().unwrap()],
        Some(items) => items.iter().flat_map(flat).collect(),
    }
}

fn tensor(value: &Value) -> Tensor {
    Tensor::from_vec(flat(value), shape(value), &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn assert_close(found: &[f64], expected: &[f64], (rtol, atol): (f64, f64), what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= rtol * b.abs() + atol, "{what} [{i}]: found {a}, expected {b}");
    }
}

#[test]
fn criteria() {
    let Some(file) = golden("criteria.json") else { return };
    let rows = file["rows"].as_array().unwrap();
    for row in rows {
        let mut config = row["config"].clone();
        config["name"] = row["name"].clone();
        let criterion = serde_json::from_value::<CriterionConfig>(config.clone()).unwrap().build();
        let labels = row["name"] == "cross_entropy";
        let value = tensor(&row["target"]);
        let value = if labels { value.to_dtype(DType::U32).unwrap() } else { value };
        // The atol of f64 is for a slope that the reference rounds to 0.
        for (dtype, tolerance) in
            [(DType::F64, (file["rtol"].as_f64().unwrap(), 1e-26)), (DType::F32, (2e-5, 2e-6))]
        {
            let prediction = Var::from_tensor(&tensor(&row["prediction"]).to_dtype(dtype).unwrap()).unwrap();
            let losses = criterion.losses(&prediction, &Target::new(value.clone()).unwrap()).unwrap();
            assert_close(&numbers(&losses), &flat(&row["loss"]), tolerance, &format!("{config} {dtype:?}"));
            let gradient = losses.sum_all().unwrap().backward().unwrap().get(&prediction).unwrap().clone();
            assert_close(
                &numbers(&gradient),
                &flat(&row["gradient"]),
                tolerance,
                &format!("slope of {config} {dtype:?}"),
            );
        }
    }
    assert!(rows.len() >= 14);
}

/// Scores `[batch, classes, …]` whose largest is that of the predicted class.
fn one_hot(predicted: &Value, classes: usize) -> Tensor {
    let dims = shape(predicted);
    let per_sample: usize = dims[1..].iter().product();
    let predicted = flat(predicted);
    let mut scores = vec![0f32; predicted.len() * classes];
    for (at, class) in predicted.iter().enumerate() {
        scores[(at / per_sample * classes + *class as usize) * per_sample + at % per_sample] = 1.0;
    }
    Tensor::from_vec(scores, [&[dims[0], classes], &dims[1..]].concat(), &Device::Cpu).unwrap()
}

/// The values of a metric over batches of an odd size.
fn values_of(config: Value, prediction: &Tensor, truth: &Tensor) -> Named<f64> {
    let mut metric = serde_json::from_value::<MetricConfig>(config).unwrap().build();
    let count = truth.dims()[0];
    for start in (0..count).step_by(7) {
        let part = |x: &Tensor| x.narrow(0, start, 7.min(count - start)).unwrap();
        metric.update(&part(prediction), &Target::new(part(truth)).unwrap()).unwrap();
    }
    metric.values().unwrap()
}

fn assert_metric(file: &Value, section: &str, names: &[&str], values: &Named<f64>) {
    for name in names {
        let expected = file[section][name].as_f64().unwrap();
        assert_close(&[values[*name]], &[expected], (file["rtol"].as_f64().unwrap(), 0.0), name);
    }
}

#[test]
fn metrics() {
    let Some(file) = golden("metrics.json") else { return };
    let labels = |section: &str| tensor(&file[section]["true"]).to_dtype(DType::U32).unwrap();

    let config = json!({"name": "classification", "classes": 4});
    let values = values_of(config, &one_hot(&file["multiclass"]["pred"], 4), &labels("multiclass"));
    let names =
        ["accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1", "mcc", "cohen_kappa"];
    assert_metric(&file, "multiclass", &names, &values);

    let config = json!({"name": "segmentation", "classes": 3});
    let values = values_of(config, &one_hot(&file["segmentation"]["pred"], 3), &labels("segmentation"));
    assert_metric(&file, "segmentation", &["pixel_accuracy", "mean_iou", "mean_dice"], &values);

    // The file's decisions call 0.537 negative and 0.632 positive.
    let config = json!({"name": "binary", "scores": "probabilities", "threshold": 0.6});
    let values = values_of(config, &tensor(&file["binary"]["score"]), &labels("binary"));
    let names = ["roc_auc", "average_precision", "f1", "precision", "recall", "log_loss", "brier"];
    assert_metric(&file, "binary", &names, &values);

    let config = json!({"name": "regression"});
    let section = &file["regression"];
    let values = values_of(config, &tensor(&section["pred"]), &tensor(&section["true"]));
    assert_metric(&file, "regression", &["mae", "rmse", "r2", "explained_variance", "pearson"], &values);
}

#[test]
fn scalarizers() {
    let Some(file) = golden("scalarization.json") else { return };
    let mut tested = 0;
    for case in file["cases"].as_array().unwrap() {
        for method in case["methods"].as_array().unwrap() {
            let config: ScalarizerConfig = serde_json::from_value(method["method"].clone()).unwrap();
            let mut scalarizer = config.build();
            let steps = case["losses"].as_array().unwrap().iter().zip(method["steps"].as_array().unwrap());
            let after = case["after"].as_array().unwrap();
            for ((losses, expected), after) in steps.zip(after) {
                let tasks = |values: &Value| {
                    let named = flat(values).into_iter().enumerate().map(|(i, l)| (format!("task {i}"), l));
                    Named::new(named).unwrap()
                };
                let tensors = tasks(losses).map(|_, l| Tensor::new(*l, &Device::Cpu).unwrap());
                let found = scalarized(&mut *scalarizer, &tensors).unwrap();
                scalarizer.after_step(&tasks(after)).unwrap();
                scalarizer.end_epoch(&tasks(losses)).unwrap();
                let tolerance = (method["rtol"].as_f64().unwrap(), 0.0);
                let what = method["method"].to_string();
                assert_close(&numbers(&found.value), &flat(&expected["value"]), tolerance, &what);
                let weights: Vec<f64> = found.weights.values().copied().collect();
                assert_close(&weights, &flat(&expected["weights"]), tolerance, &what);
                tested += 1;
            }
        }
    }
    assert!(tested >= 3 * 12 * 4, "{tested}");
}

/// A Jacobian of two blocks, because the sums go over several.
fn jacobian(rows: &Value) -> Jacobian {
    let rows = rows.as_array().unwrap().iter().enumerate().map(|(task, row)| {
        let (row, half) = (tensor(row), row.as_array().unwrap().len() / 2);
        let block = |start, len| row.narrow(0, start, len).unwrap().into();
        let blocks = [("first", block(0, half)), ("second", block(half, row.elem_count() - half))];
        (format!("task {task}"), Named::new(blocks).unwrap())
    });
    Jacobian::new(Named::new(rows).unwrap()).unwrap()
}

#[test]
fn aggregators() {
    let Some(file) = golden("aggregation.json") else { return };
    let mut tested = 0;
    for case in file["cases"].as_array().unwrap() {
        let jacobian = jacobian(&case["jacobian"]);
        let methods = case["methods"].as_array().unwrap().iter();
        for method in methods {
            let config = serde_json::from_value::<AggregatorConfig>(method["method"].clone()).unwrap();
            let Aggregated { gradient: combined, weights } =
                config.build().unwrap().aggregate(&jacobian).unwrap();
            let what = format!("{} of {} tasks", method["method"], jacobian.rows().len());
            let expected = flat(&method["gradient"]);
            let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let tolerance = method["rtol"].as_f64().unwrap();
            // The reference gives no weights for some methods that have them here.
            if let (Some(weights), false) = (weights, method["weights"].is_null()) {
                assert_close(&weights, &flat(&method["weights"]), (tolerance, 1e-9), &what);
            }
            let gradient: Vec<f64> =
                combined.values().flat_map(|block| numbers(&block.clone().into_dense().unwrap())).collect();
            assert_close(&gradient, &expected, (tolerance, tolerance * largest), &what);
            tested += 1;
        }
    }
    assert!(tested >= 100, "{tested}");
}
