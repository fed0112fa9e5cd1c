//! What every scalarizer must hold, one row per scalarizer.

use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;
use taskweave_kernels::{Error, Named};
use taskweave_loss::{ScalarizerConfig, scalarized};

/// The table: a new scalarizer is tested by a new row.
const ROWS: [&str; 17] = [
    r#"{"name": "sum"}"#,
    r#"{"name": "mean"}"#,
    r#"{"name": "constant", "weights": [["a", 0.5], ["b", 2.0], ["c", 0.0]]}"#,
    r#"{"name": "log_loss"}"#,
    r#"{"name": "geometric_mean"}"#,
    r#"{"name": "uncertainty"}"#,
    r#"{"name": "uncertainty_softmax", "temperature": 2.0}"#,
    r#"{"name": "imtl_l"}"#,
    r#"{"name": "dwa", "temperature": 1.0}"#,
    r#"{"name": "random", "seed": 3}"#,
    r#"{"name": "stch", "mu": 0.3, "ideal": [["a", 0.1], ["b", 0.0], ["c", 0.2]]}"#,
    r#"{"name": "stch", "mu": 0.3, "nadir": [["a", 2.0], ["b", 1.0], ["c", 3.0]]}"#,
    r#"{"name": "famo", "lr": 0.1}"#,
    r#"{"name": "cosmos", "lambda": 2.0, "preference": [["a", 0.5], ["b", 0.2], ["c", 0.3]]}"#,
    r#"{"name": "pbi", "theta": 5.0, "preference": [["a", 0.5], ["b", 0.2], ["c", 0.3]]}"#,
    r#"{"name": "go4align", "groups": 2, "step_size": 0.1}"#,
    r#"{"name": "ldc", "lambda": 0.3}"#,
];

/// Whether the weights depend on the losses of the step without a gradient through them, so that they are not the slopes
/// of the value.
fn is_detached(row: &str) -> bool {
    ["famo", "uncertainty_softmax", "go4align", "ldc"].iter().any(|name| row.contains(name))
}

/// Whether the value is linear in the losses with the weights that it has had from the start.
fn is_linear(row: &str) -> bool {
    ["sum", "mean", "constant", "dwa", "random"].iter().any(|name| row.contains(&format!("\"{name}\"")))
}

fn config(text: &str) -> ScalarizerConfig {
    serde_json::from_str(text).unwrap()
}

fn losses(values: &[(&str, f64)]) -> Named<Tensor> {
    Named::new(values.iter().map(|(task, l)| (*task, Tensor::new(*l, &Device::Cpu).unwrap()))).unwrap()
}

#[test]
fn weights_are_the_slopes_of_the_value_also_with_a_task_missing() {
    for row in ROWS.into_iter().filter(|row| !is_detached(row)) {
        for tasks in [&["a", "b", "c"][..], &["c", "a"], &["b"]] {
            let base: Vec<_> = tasks.iter().zip([0.7, 1.9, 0.4]).map(|(task, l)| (*task, l)).collect();
            let step = scalarized(&mut *config(row).build(), &losses(&base)).unwrap();
            assert_eq!(step.weights.names().collect::<Vec<_>>(), tasks);
            for (i, task) in tasks.iter().enumerate() {
                let value = |shift: f64| {
                    let mut moved = base.clone();
                    moved[i].1 += shift;
                    let value = config(row).build().scalarize(&losses(&moved)).unwrap();
                    value.to_scalar::<f64>().unwrap()
                };
                let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((slope - step.weights[*task]).abs() < 1e-8, "{row} {task}: {slope}");
            }
        }
    }
}

#[test]
fn the_gradient_reaches_the_network_with_the_weights() {
    for row in ROWS {
        let x = Var::new(3f64, &Device::Cpu).unwrap();
        let double = (x.as_tensor() * 2.0).unwrap();
        let losses = Named::new([("a", x.sqr().unwrap()), ("b", double)]).unwrap();
        let step = scalarized(&mut *config(row).build(), &losses).unwrap();
        let direct = config(row).build().scalarize(&losses).unwrap();
        assert_eq!(step.value.to_scalar::<f64>().unwrap(), direct.to_scalar::<f64>().unwrap(), "{row}");
        let slope = |value: &Tensor| value.backward().unwrap().get(&x).unwrap().to_scalar::<f64>().unwrap();
        let expected = 6.0 * step.weights["a"] + 2.0 * step.weights["b"];
        for slope in [slope(&step.value), slope(&direct)] {
            assert!(
                (slope - expected).abs() <= 1e-12 * expected.abs(),
                "{row}: {slope} instead of {expected}"
            );
        }
    }
}

#[test]
fn a_restored_scalarizer_goes_on_where_it_was() {
    for row in ROWS {
        let mut scalarizer = config(row).build();
        let epoch = |scalarizer: &mut dyn taskweave_loss::Scalarizer| {
            let step = scalarized(scalarizer, &losses(&[("a", 0.3), ("b", 0.8)])).unwrap();
            let after = Named::new([("a", 0.2), ("b", 0.7)]).unwrap();
            scalarizer.after_step(&after).unwrap();
            scalarizer.end_epoch(&after).unwrap();
            (step.value.to_scalar::<f64>().unwrap(), step.weights)
        };
        (0..3).for_each(|_| drop(epoch(&mut *scalarizer)));
        let mut back = config(row).build();
        back.restore(&scalarizer.save().unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(epoch(&mut *scalarizer), epoch(&mut *back), "{row}");
        }
    }
}

#[test]
fn what_does_not_fit_is_a_typed_error() {
    for row in ROWS {
        let vector = Named::new([("a", Tensor::new(&[1f64, 2.0], &Device::Cpu).unwrap())]).unwrap();
        let error = config(row).build().scalarize(&vector).unwrap_err();
        assert_eq!(error.to_string(), "loss of `a`: expected shape [] (a scalar), found [2]", "{row}");
        let error = config(row).build().scalarize(&Named::default()).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{row}: {error}");
        let negative = config(row).build().scalarize(&losses(&[("a", -1.0), ("b", 1.0)]));
        if !is_linear(row)
            && !["uncertainty\"", "imtl_l", "ideal", "cosmos", "pbi"].iter().any(|n| row.contains(n))
        {
            assert!(negative.unwrap_err().to_string().contains("loss of `a`"), "{row}");
        }
    }
    let unknown = config(ROWS[2]).build().scalarize(&losses(&[("d", 1.0)])).unwrap_err();
    assert!(matches!(unknown, Error::Unknown { .. }));
    let below = r#"{"name": "stch", "mu": 1.0, "nadir": [1.0, 1.0], "ideal": [1.5, 0.0]}"#;
    let error = config(below).build().scalarize(&losses(&[("a", 1.0), ("b", 2.0)])).unwrap_err();
    assert_eq!(error.to_string(), "loss of `a`: expected a number > 1.5, its ideal, found 1");
    let mut famo = config(r#"{"name": "famo"}"#).build();
    famo.scalarize(&losses(&[("a", 1.0), ("b", 2.0)])).unwrap();
    let error = famo.after_step(&Named::new([("a", 1.0)]).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tasks of the losses after a step: expected those of the step: a, b, found a"
    );
}

#[test]
fn numbers_per_task_are_written_in_three_ways_and_no_other() {
    let of = |weights: &str| format!(r#"{{"name": "constant", "weights": {weights}}}"#);
    let value = |weights: &str| {
        let losses = losses(&[("a", 3.0), ("b", 4.0)]);
        config(&of(weights)).build().scalarize(&losses).unwrap().to_scalar::<f64>().unwrap()
    };
    for weights in ["[1.0, 10.0]", r#"[["b", 10.0], ["a", 1.0]]"#, r#"{"b": 10.0, "a": 1.0}"#] {
        assert_eq!(value(weights), 43.0, "{weights}");
    }
    for weights in
        [r#""a""#, r#"{"a": "b"}"#, "[[1.0]]", r#"[["a", 1.0], ["a", 2.0]]"#, r#"{"a": 1.0, "a": 2.0}"#]
    {
        let error = serde_json::from_str::<ScalarizerConfig>(&of(weights)).unwrap_err().to_string();
        assert!(error.contains("one number per task") || error.contains("`a`"), "{weights}: {error}");
    }
}

#[test]
fn preferences_may_be_long_or_short() {
    let losses = losses(&[("a", 3.0), ("b", 4.0)]);
    for size in [1e-200, 1.0, 1e200] {
        let text =
            format!(r#"{{"name": "pbi", "theta": 5.0, "preference": [{:e}, {:e}]}}"#, 3.0 * size, 4.0 * size);
        let value = config(&text).build().scalarize(&losses).unwrap().to_scalar::<f64>().unwrap();
        assert!((value - 5.0).abs() < 1e-12, "{text}: {value}");
    }
    let text = r#"{"name": "cosmos", "lambda": 1e200, "preference": [3e200, 4e200]}"#;
    let value = config(text).build().scalarize(&losses).unwrap().to_scalar::<f64>().unwrap();
    assert!((value / 24e200 - 1.0).abs() < 1e-12, "{value}");
}

#[test]
fn configs_are_checked_and_survive_a_round_trip() {
    for row in ROWS {
        let text = serde_json::to_string(&config(row)).unwrap();
        assert_eq!(config(&text), config(row));
        let unknown = format!(r#"{}, "wieghts": []}}"#, row.strip_suffix('}').unwrap());
        assert!(serde_json::from_str::<ScalarizerConfig>(&unknown).is_err(), "{unknown}");
    }
    let negative = r#"{"name": "constant", "weights": [["a", -1.0]]}"#;
    let error = serde_json::from_str::<ScalarizerConfig>(negative).unwrap_err();
    assert_eq!(error.to_string(), "weight of task `a`: expected a finite number ≥ 0, found -1");
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for (text, name) in [
        (r#"{"name": "log_loss", "epsilon": -1.0}"#, "epsilon"),
        (r#"{"name": "uncertainty_softmax", "temperature": 0.0}"#, "temperature"),
        (r#"{"name": "dwa", "temperature": -2.0}"#, "temperature"),
        (r#"{"name": "stch", "mu": 0.0}"#, "mu"),
        (r#"{"name": "stch", "mu": 1e-310}"#, "mu"),
        (r#"{"name": "stch", "mu": 1.0, "preference": [0.5, 0.0]}"#, "preference[1]"),
        (r#"{"name": "stch", "mu": 1.0, "nadir": [["a", -1.0]]}"#, "nadir of task `a`"),
        (r#"{"name": "famo", "lr": 0.0}"#, "lr"),
        (r#"{"name": "famo", "weight_decay": -1.0}"#, "weight_decay"),
        (r#"{"name": "cosmos", "preference": [1.0], "lambda": -1.0}"#, "lambda"),
        (r#"{"name": "pbi", "preference": [1.0, -1.0], "theta": 1.0}"#, "preference[1]"),
        (r#"{"name": "constant", "weights": [1.0, -1.0]}"#, "weight[1]"),
        (r#"{"name": "go4align", "groups": 0}"#, "groups"),
        (r#"{"name": "go4align", "step_size": -1.0}"#, "step_size"),
        (r#"{"name": "ldc", "lambda": 0.0}"#, "lambda"),
    ] {
        let error = serde_json::from_str::<ScalarizerConfig>(text).unwrap_err().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
    let listed = config(r#"{"name": "constant", "weights": [1.0, 2.0]}"#);
    let error = listed.build().scalarize(&losses(&[("a", 1.0)])).unwrap_err();
    assert_eq!(error.to_string(), "weights: expected shape [1], one per task, found [2]");
}

#[test]
fn losses_in_f32_keep_their_dtype() {
    for row in ROWS {
        let losses = losses(&[("a", 0.5), ("b", 2.0)]);
        let losses = losses.map(|_, loss| loss.to_dtype(DType::F32).unwrap());
        let step = scalarized(&mut *config(row).build(), &losses).unwrap();
        assert_eq!(step.value.dtype(), DType::F32, "{row}");
        assert!(step.weights.values().all(|weight| weight.is_finite()), "{row}");
    }
}

proptest! {
    #[test]
    fn the_sum_is_the_mean_times_the_number_of_tasks(values in prop::collection::vec(-1e3f64..1e3, 1..8)) {
        let names: Vec<String> = (0..values.len()).map(|i| format!("task {i}")).collect();
        let losses = losses(&names.iter().map(String::as_str).zip(values.iter().copied()).collect::<Vec<_>>());
        let value = |row: &str| config(row).build().scalarize(&losses).unwrap().to_scalar::<f64>().unwrap();
        let count = values.len() as f64;
        prop_assert!((value(ROWS[0]) - count * value(ROWS[1])).abs() < 1e-9);
    }
}

#[test]
fn a_preference_replaces_that_of_the_configuration() {
    let preferred = |text: &str| {
        let mut scalarizer = config(text).build();
        scalarizer.prefer(&Named::new([("a", 0.2), ("b", 0.8)]).unwrap()).unwrap();
        scalarized(&mut *scalarizer, &losses(&[("a", 0.7), ("b", 0.3)])).unwrap().weights
    };
    let direct = |text: &str| {
        scalarized(&mut *config(text).build(), &losses(&[("a", 0.7), ("b", 0.3)])).unwrap().weights
    };
    for (key, rest) in [
        ("weights", r#""name": "constant""#),
        ("preference", r#""name": "cosmos", "lambda": 2.0"#),
        ("preference", r#""name": "pbi", "theta": 5.0"#),
        ("preference", r#""name": "stch", "mu": 0.3"#),
    ] {
        let row = |r: [f64; 2]| format!(r#"{{{rest}, "{key}": [["a", {}], ["b", {}]]}}"#, r[0], r[1]);
        assert_eq!(preferred(&row([0.5, 0.5])), direct(&row([0.2, 0.8])), "{rest}");
        assert_ne!(direct(&row([0.5, 0.5])), direct(&row([0.2, 0.8])), "{rest}");
        let negative = config(&row([0.5, 0.5])).build().prefer(&Named::new([("a", -1.0)]).unwrap());
        assert!(matches!(negative, Err(Error::Parameter { .. })), "{rest}");
    }
    let none = config(ROWS[1]).build().prefer(&Named::new([("a", 1.0)]).unwrap()).unwrap_err().to_string();
    assert_eq!(none, "preference: expected a method that takes one, found one that takes none");
}

/// A row for any number of tasks.
fn for_tasks(name: &str, tasks: usize) -> String {
    let numbers = (0..tasks).map(|i| format!("{}.0", 1 + i % 3)).collect::<Vec<_>>().join(", ");
    match name {
        "constant" => format!(r#"{{"name": "constant", "weights": [{numbers}]}}"#),
        "stch" => r#"{"name": "stch", "mu": 0.3}"#.into(),
        "cosmos" => format!(r#"{{"name": "cosmos", "lambda": 2.0, "preference": [{numbers}]}}"#),
        "pbi" => format!(r#"{{"name": "pbi", "theta": 5.0, "preference": [{numbers}]}}"#),
        _ => format!(r#"{{"name": "{name}"}}"#),
    }
}

/// Losses of each task at a step: falling, all alike, in units over 10^±3, or tiny.
fn course(family: usize, task: usize, step: i32) -> f64 {
    let fall = 0.9f64.powi(step * (1 + task as i32 % 2));
    match family {
        0 => fall * (0.5 + (task % 5) as f64),
        1 => fall,
        2 => fall * 10f64.powi(task as i32 % 7 - 3),
        _ => 1e-6 * fall * (1 + task % 3) as f64,
    }
}

/// Four steps of every scalarizer on losses of one to 128 tasks: finite in both dtypes, the same for tasks in another order.
#[test]
fn every_scalarizer_on_any_number_of_tasks_and_losses_of_any_size() {
    let mut cells = 0;
    for name in ScalarizerConfig::NAMES {
        for tasks in [1, 2, 3, 8, 40, 128] {
            for family in 0..4 {
                let what = format!("{name}, {tasks} tasks, family {family}");
                let text = for_tasks(name, tasks);
                let run = |order: &[usize], dtype: DType| {
                    let (mut scalarizer, mut last) = (config(&text).build(), Named::default());
                    for step in 0..4 {
                        let of = |step: i32| {
                            let named = order.iter().map(|&i| (format!("t{i}"), course(family, i, step)));
                            Named::new(named).unwrap()
                        };
                        let tensor = |_: &str, loss: &f64| Tensor::new(*loss, &Device::Cpu)?.to_dtype(dtype);
                        let found = scalarized(&mut *scalarizer, &of(step).try_map(tensor).unwrap()).unwrap();
                        scalarizer.after_step(&of(step + 1)).unwrap();
                        scalarizer.end_epoch(&of(step)).unwrap();
                        last = found.weights;
                    }
                    last
                };
                let forward: Vec<usize> = (0..tasks).collect();
                let weights = run(&forward, DType::F64);
                assert!(weights.len() == tasks && weights.values().all(|w| w.is_finite()), "{what}");
                assert!(run(&forward, DType::F32).values().all(|w| w.is_finite()), "{what}, f32");
                cells += 2;
                // Numbers of a list go by place, draws and pairs of neighbors by order.
                if ["constant", "cosmos", "pbi", "random", "ldc"].contains(name) {
                    continue;
                }
                let backward: Vec<usize> = (0..tasks).rev().collect();
                let turned = run(&backward, DType::F64);
                for (task, weight) in weights.iter() {
                    let apart = (turned[task] - weight).abs();
                    assert!(apart <= 1e-9 * weight.abs().max(1e-3), "{what}: {} and {weight}", turned[task]);
                }
                cells += 1;
            }
        }
    }
    println!("{cells} cells");
    assert!(cells > 1000, "{cells}");
}
