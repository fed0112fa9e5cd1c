//! Every method of the crate in one table: its state is saved and restored in mid-run, and what follows is equal bit for bit.

#[allow(dead_code, reason = "each test uses its part")]
mod methods;

use candle_core::{DType, Device, Tensor};
use methods::{AGGREGATORS, SCALARIZERS, TASKS, aggregator, jacobian, scalarizer};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, State};
use taskweave_loss::aggregator::BlockwiseConfig;
use taskweave_loss::{Aggregator, Jacobian, Scalarizer, ScalarizerConfig, WeightingConfig, scalarized};

/// The state as a checkpoint holds it: text and tensors.
fn stored(state: &State) -> State {
    let text = serde_json::to_string(&state.values).unwrap();
    State { values: serde_json::from_str(&text).unwrap(), tensors: state.tensors.clone() }
}

fn bits(aggregator: &mut dyn Aggregator, step: u64, dtype: DType) -> (Vec<u64>, Option<Vec<f64>>) {
    let found = aggregator.aggregate(&jacobian(step, &TASKS, dtype)).unwrap();
    let flat = |block: &Gradient| {
        let dense = block.clone().into_dense()?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        Result::<_>::Ok(dense.into_iter().map(f64::to_bits).collect::<Vec<_>>())
    };
    (found.gradient.values().flat_map(|block| flat(block).unwrap()).collect(), found.weights)
}

#[test]
fn every_aggregator_goes_on_where_it_was() {
    for text in AGGREGATORS {
        for dtype in [DType::F32, DType::F64] {
            let (mut whole, mut back) = (aggregator(text), aggregator(text));
            (0..5).for_each(|step| drop(bits(&mut *whole, step, dtype)));
            back.restore(&stored(&whole.save().unwrap())).unwrap();
            for step in 5..10 {
                let (a, b) = (bits(&mut *whole, step, dtype), bits(&mut *back, step, dtype));
                assert!(a == b, "{text} at step {step}: {:?} and {:?}", a.1, b.1);
            }
            assert!(back.restore(&State::of(&"nonsense").unwrap()).is_err(), "{text}");
            let (a, b) = (bits(&mut *whole, 10, dtype), bits(&mut *back, 10, dtype));
            assert!(a == b, "{text}: a state that did not fit changed it");
        }
    }
}

#[test]
fn where_there_is_a_state_starting_anew_is_not_going_on() {
    let with_state = [
        "random",
        "gradnorm",
        "pcgrad",
        "gradvac",
        "ema",
        "graddrop",
        "db_mtl\"}",
        "moco",
        "excess_mtl",
        "sam_gs",
    ];
    for text in AGGREGATORS.iter().filter(|text| with_state.iter().any(|name| text.contains(name))) {
        let (mut whole, mut anew) = (aggregator(text), aggregator(text));
        (0..5).for_each(|step| drop(bits(&mut *whole, step, DType::F64)));
        let apart = |step| bits(&mut *whole, step, DType::F64) != bits(&mut *anew, step, DType::F64);
        assert!((5..15).any(apart), "{text}");
    }
}

#[test]
fn every_scalarizer_goes_on_where_it_was() {
    let losses = |step: u64, task: u64| 1.0 / (1.0 + (step * (task + 1)) as f64) + task as f64;
    let epoch = |scalarizer: &mut dyn Scalarizer, step: u64| {
        let named = Named::new([("a", losses(step, 0)), ("b", losses(step, 1))]).unwrap();
        let tensors = named.map(|_, loss| Tensor::new(*loss, &Device::Cpu).unwrap());
        let found = scalarized(scalarizer, &tensors).unwrap();
        scalarizer.after_step(&named.map(|_, loss| 0.9 * loss)).unwrap();
        scalarizer.end_epoch(&named).unwrap();
        // One step of the trained parameters, as an optimizer would make it.
        let slopes = found.value.backward().unwrap();
        for param in scalarizer.params().values() {
            let slope = slopes.get(&param.var).unwrap();
            param.var.set(&(param.var.as_tensor() - (slope * 0.1).unwrap()).unwrap()).unwrap();
        }
        (found.value.to_scalar::<f64>().unwrap().to_bits(), found.weights)
    };
    for text in SCALARIZERS {
        let (mut whole, mut back) = (scalarizer(text), scalarizer(text));
        (0..5).for_each(|step| drop(epoch(&mut *whole, step)));
        back.restore(&stored(&whole.save().unwrap())).unwrap();
        for step in 5..10 {
            assert_eq!(epoch(&mut *whole, step), epoch(&mut *back, step), "{text}");
        }
    }
}

#[test]
fn no_method_is_missing_from_the_tables() {
    let named =
        |rows: &[&str], name: &str| rows.iter().any(|row| row.contains(&format!("{{\"name\": \"{name}\"")));
    for name in WeightingConfig::NAMES.iter().chain(BlockwiseConfig::NAMES) {
        assert!(named(&AGGREGATORS, name), "{name}");
    }
    for name in ScalarizerConfig::NAMES {
        assert!(named(&SCALARIZERS, name), "{name}");
    }
}

#[test]
fn other_tasks_than_before_are_refused_also_after_a_restore() {
    for text in [
        r#"{"name": "gradvac"}"#,
        r#"{"name": "gradnorm"}"#,
        r#"{"name": "pcd"}"#,
        r#"{"name": "ema", "of": {"name": "mean"}}"#,
        r#"{"name": "every", "steps": 30, "of": {"name": "mean"}}"#,
        r#"{"name": "constant", "weights": [1.0, 1.0, 1.0, 1.0]}"#,
        r#"{"name": "db_mtl"}"#,
        r#"{"name": "moco"}"#,
        r#"{"name": "excess_mtl"}"#,
        r#"{"name": "sam_gs"}"#,
        r#"{"name": "per_group", "of": {"name": "gradvac"}}"#,
        r#"{"name": "within", "blocks": "v", "of": {"name": "gradvac"}}"#,
    ] {
        let mut first = aggregator(text);
        drop(bits(&mut *first, 0, DType::F64));
        let mut restored = aggregator(text);
        restored.restore(&stored(&first.save().unwrap())).unwrap();
        let others = TASKS.iter().rev().copied().collect::<Vec<_>>();
        for mut aggregator in [first, restored] {
            let error = aggregator.aggregate(&jacobian(1, &TASKS[..3], DType::F64)).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{text}: {error}");
            // As many tasks, but others (or in another order).
            if !text.contains("constant") {
                let error = aggregator.aggregate(&jacobian(1, &others, DType::F64)).unwrap_err();
                assert!(matches!(error, Error::Shape { .. }), "{text}: {error}");
            }
        }
    }
    let mut memory = aggregator(r#"{"name": "moco"}"#);
    drop(bits(&mut *memory, 0, DType::F64));
    let error = memory.aggregate(&jacobian(1, &TASKS, DType::F32)).unwrap_err();
    assert!(matches!(error, Error::DType { .. }), "{error}");
}

/// The methods that do with fewer tasks than four: not those with a list of numbers, or that outvote others.
fn any_number() -> impl Iterator<Item = &'static str> {
    let four = ["constant", "epo", "ferero", "krum", "trimmed_mean"];
    AGGREGATORS.into_iter().filter(move |text| !four.iter().any(|name| text.contains(name)))
}

fn prepared(text: &str) -> Box<dyn Aggregator> {
    let mut aggregator = aggregator(text);
    aggregator.prepare(&TASKS.map(String::from)).unwrap();
    aggregator
}

#[test]
fn a_step_may_lack_tasks_that_were_named_and_leaves_what_is_remembered_of_them() {
    let present: [&[&str]; 6] = [&["a", "c"], &TASKS, &["d", "b"], &["c"], &["b", "a", "d"], &TASKS];
    for text in any_number() {
        let (mut whole, mut back) = (prepared(text), prepared(text));
        for (step, tasks) in present.iter().enumerate() {
            let before = whole.save().unwrap().tensors;
            let rows = jacobian(step as u64, tasks, DType::F64);
            let found = whole.aggregate(&rows).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(found.weights.is_none_or(|weights| weights.len() == tasks.len()), "{text}");
            for (name, kept) in before.iter().filter(|_| !text.contains("per_group")) {
                let after = &whole.save().unwrap().tensors[name];
                let task = TASKS[name.split_once('/').unwrap().0.parse::<usize>().unwrap()];
                let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                assert_eq!(flat(kept) != flat(after), tasks.contains(&task), "{text}: {name} at step {step}");
            }
            // From a checkpoint in mid-run.
            back.restore(&stored(&whole.save().unwrap())).unwrap();
            let (a, b) = (bits(&mut *whole, 70, DType::F64), bits(&mut *back, 70, DType::F64));
            assert!(a == b, "{text} after step {step}");
        }
        let error = whole.aggregate(&jacobian(9, &["a", "e"], DType::F64));
        let remembers =
            ["gradnorm", "gradvac", "pcd", "ema", "every", "db_mtl\"}", "moco", "excess", "sam_gs"];
        if remembers.iter().any(|name| text.contains(name)) {
            assert!(matches!(error, Err(Error::Shape { .. })), "{text}");
            let others = ["a", "b", "c"].map(String::from);
            assert!(matches!(whole.prepare(&others), Err(Error::Shape { .. })), "{text}");
        }
    }
}

/// What a method remembers goes by name: where rows change places in mid-run, so do the weights.
#[test]
fn rows_of_named_tasks_may_change_places() {
    let turned = ["c", "a", "d", "b"];
    let drawn = ["random", "pcgrad", "gradvac", "graddrop"];
    for text in any_number().filter(|text| !drawn.iter().any(|name| text.contains(name))) {
        let (mut one, mut other) = (prepared(text), prepared(text));
        for step in 0..4 {
            let rows = jacobian(step, &TASKS, DType::F64);
            let order: &[&str] = if step % 2 == 1 { &turned } else { &TASKS };
            let losses = Named::new(TASKS.iter().zip(rows.losses().unwrap()).map(|(t, l)| (*t, *l))).unwrap();
            let others = Named::new(order.iter().map(|task| (*task, rows.rows()[task].clone()))).unwrap();
            let losses = Named::new(order.iter().map(|task| (*task, losses[task]))).unwrap();
            let others = Jacobian::new(others).unwrap().with_losses(losses).unwrap();
            let (a, b) = (one.aggregate(&rows).unwrap(), other.aggregate(&others).unwrap());
            for (name, block) in a.gradient.iter() {
                let flat =
                    |x: &Gradient| x.clone().into_dense().unwrap().flatten_all().unwrap().to_vec1::<f64>();
                for (a, b) in flat(block).unwrap().iter().zip(flat(&b.gradient[name]).unwrap()) {
                    assert!((a - b).abs() <= 1e-6 * (1.0 + a.abs()), "{text} at step {step}: {a} and {b}");
                }
            }
        }
    }
}

/// A task gains nothing on others by being alone in batches.
#[test]
fn shares_stay_where_tasks_are_missing() {
    let excess = r#"{"name": "excess_mtl", "step_size": 0.5}"#;
    let weight = |alone: u64| {
        let mut method = prepared(excess);
        bits(&mut *method, 0, DType::F64);
        for step in 0..alone {
            let found = method.aggregate(&jacobian(10 + step, &["a"], DType::F64)).unwrap();
            assert_eq!(found.weights, Some(vec![1.0]));
        }
        bits(&mut *method, 1, DType::F64).1.unwrap()[0]
    };
    let (without, with) = (weight(0), weight(50));
    assert!(with < 1.5 * without, "{with} and {without}");

    let mut moco = prepared(r#"{"name": "moco", "gamma": 0.01}"#);
    for (step, tasks) in [&TASKS[..], &["a", "b"], &["d"], &["c", "a", "b"]].into_iter().enumerate() {
        moco.aggregate(&jacobian(step as u64, tasks, DType::F64)).unwrap();
    }
    let values = moco.save().unwrap().values;
    let weights: Vec<f64> = serde_json::from_value(values["seen"]["weights"].clone()).unwrap();
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{weights:?}");
    assert!(weights[..3].iter().any(|weight| (weight - 0.25).abs() > 1e-6), "{weights:?}");
}

#[test]
fn a_task_alone_keeps_its_gradient_in_sam_gs_and_teaches_it_nothing() {
    let mut method = prepared(r#"{"name": "sam_gs", "gamma": 0.97}"#);
    bits(&mut *method, 0, DType::F64);
    let seen = |method: &dyn Aggregator| method.save().unwrap().values["seen"]["dissimilarity"].clone();
    let before = seen(&*method);
    assert_eq!(method.aggregate(&jacobian(1, &["b"], DType::F64)).unwrap().weights, Some(vec![1.0]));
    assert_eq!(seen(&*method), before);
}
