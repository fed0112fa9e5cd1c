//! Bad input for every method of the crate: a typed error that names what is wrong, or a result where there is one; never a
//! panic, and never a number that is not finite.

#[allow(dead_code, reason = "each test uses its part")]
mod methods;

use std::fmt::Debug;

use candle_core::{DType, Device, Tensor};
use methods::{AGGREGATORS, SCALARIZERS, TASKS, aggregator, jacobian, scalarizer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, State};
use taskweave_loss::{Aggregated, AggregatorConfig, Gramian, Jacobian, ScalarizerConfig, scalarized};

/// What is neither a loss nor a part of a gradient.
const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// The same gradients with one number of one task replaced.
fn spoiled(bad: f64, task: &str, dtype: DType) -> Jacobian {
    let good = jacobian(0, &TASKS, dtype);
    let rows = good.rows().map(|name, row| {
        let mut row = row.clone();
        if name == task {
            let numbers = [0.5, 0.5, 0.5, bad, 0.5, 0.5, 0.5];
            let block = Tensor::new(&numbers, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            *row.get_mut("v.weight").unwrap() = Gradient::from(block);
        }
        row
    });
    let losses = good.rows().names().map(String::from).zip(good.losses().unwrap().iter().copied());
    Jacobian::new(rows).unwrap().with_losses(Named::new(losses).unwrap()).unwrap()
}

fn is_finite(found: &Aggregated) -> bool {
    let block = |block: &Gradient| {
        let dense = block.clone().into_dense().unwrap().flatten_all().unwrap();
        dense.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap().iter().all(|x| x.is_finite())
    };
    found.gradient.values().all(block) && found.weights.iter().flatten().all(|weight| weight.is_finite())
}

#[test]
fn a_gradient_that_is_not_finite_names_its_task() {
    for text in AGGREGATORS {
        for (bad, task, dtype) in
            [(BAD[0], "a", DType::F32), (BAD[1], "b", DType::F64), (BAD[2], "c", DType::F32)]
        {
            let error = aggregator(text).aggregate(&spoiled(bad, task, dtype)).unwrap_err();
            assert!(matches!(&error, Error::NonFinite { name, .. } if name == task), "{text}: {error}");
        }
    }
}

/// The one way to weightings: what they see is finite, symmetric and as large as its tasks are many.
#[test]
fn what_is_no_gramian_is_none() {
    for bad in BAD {
        for (i, j) in [(0, 0), (0, 1), (1, 0)] {
            let mut rows = [[1.0, 0.5], [0.5, 1.0]];
            rows[i][j] = bad;
            let error = Gramian::new(["a", "b"], &rows).unwrap_err();
            assert!(matches!(&error, Error::NonFinite { name, .. } if name == ["a", "b"][i]), "{error}");
        }
    }
    let error = Gramian::new(["a", "b"], &[[1.0, 0.5], [0.25, 1.0]]).unwrap_err();
    assert!(matches!(&error, Error::Parameter { name, .. } if name.contains("`a` and `b`")), "{error}");
    assert!(matches!(Gramian::new(["a", "b"], &[[1.0]]), Err(Error::Shape { .. })));
}

#[test]
fn nothing_at_all_is_no_panic() {
    let row = || Named::<Gradient>::default();
    let empty = Jacobian::new(Named::new(TASKS.map(|task| (task, row()))).unwrap()).unwrap();
    let losses = Named::new(TASKS.map(|task| (task, 1.0))).unwrap();
    for text in AGGREGATORS {
        for jacobian in [
            Jacobian::new(Named::default()).unwrap().with_losses(Named::default()).unwrap(),
            empty.clone().with_losses(losses.clone()).unwrap(),
        ] {
            match aggregator(text).aggregate(&jacobian) {
                Ok(found) => assert!(found.gradient.is_empty() && is_finite(&found), "{text}"),
                Err(error) => assert!(
                    matches!(error, Error::Parameter { .. } | Error::Shape { .. } | Error::Unknown { .. }),
                    "{text}: {error}"
                ),
            }
        }
    }
    for text in SCALARIZERS {
        let error = scalarized(&mut *scalarizer(text), &Named::default()).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. } | Error::Unknown { .. }), "{text}: {error}");
    }
}

/// A part of a tensor without values, as far from its storage's begin as may be.
#[test]
fn a_block_without_numbers_is_one_of_the_others() {
    let nothing = Tensor::zeros((0, 8), DType::F64, &Device::Cpu).unwrap().narrow(1, 4, 4).unwrap();
    for text in AGGREGATORS {
        let good = jacobian(0, &TASKS, DType::F64);
        let losses = good.rows().names().map(String::from).zip(good.losses().unwrap().iter().copied());
        let losses = Named::new(losses).unwrap();
        let with = good.rows().map(|_, row| {
            let mut row = row.clone();
            row.insert("v.zero", nothing.clone().into()).unwrap();
            row
        });
        let with = Jacobian::new(with).unwrap().with_losses(losses).unwrap();
        let [with, without] = [with, good].map(|jacobian| aggregator(text).aggregate(&jacobian).unwrap());
        let numbers = |block: &Gradient| {
            block.clone().into_dense().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
        };
        assert!(numbers(&with.gradient["v.zero"]).is_empty(), "{text}");
        for (name, block) in without.gradient.iter() {
            assert_eq!(numbers(&with.gradient[name]), numbers(block), "{text}: {name}");
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_names_its_task() {
    let losses = |b: f64| {
        let of = |loss: f64| Tensor::new(loss, &Device::Cpu).unwrap();
        Named::new([("a", of(0.5)), ("b", of(b))]).unwrap()
    };
    for text in SCALARIZERS {
        for bad in BAD {
            let error = scalarized(&mut *scalarizer(text), &losses(bad)).unwrap_err();
            assert!(matches!(&error, Error::NonFinite { name, .. } if name == "b"), "{text}: {error}");
        }
        let vector = Named::new([("a", Tensor::new(&[1f64, 2.0], &Device::Cpu).unwrap())]).unwrap();
        assert!(scalarized(&mut *scalarizer(text), &vector).is_err(), "{text}");
    }
    let jacobian = jacobian(0, &TASKS, DType::F64);
    for bad in BAD {
        let losses = Named::new(TASKS.map(|task| (task, if task == "c" { bad } else { 1.0 }))).unwrap();
        let error = jacobian.clone().with_losses(losses).unwrap_err();
        assert!(matches!(&error, Error::NonFinite { name, .. } if name == "c"), "{error}");
    }
}

/// Whatever is refused, in the first call or later, the method goes on as if it had not been asked.
#[test]
fn a_refused_call_leaves_every_method_as_it_was() {
    let good = |step| jacobian(step, &TASKS, DType::F64);
    let refusals = || {
        let unknown = Jacobian::new(good(9).rows().clone()).unwrap();
        [spoiled(f64::NAN, "a", DType::F64), spoiled(f64::INFINITY, "d", DType::F64), unknown]
            .into_iter()
            .chain([jacobian(0, &TASKS[..3], DType::F64), jacobian(0, &["d", "c", "b", "a"], DType::F64)])
    };
    let numbers = |found: &Aggregated| {
        let block = |block: &Gradient| block.clone().into_dense().unwrap().flatten_all().unwrap();
        found.gradient.values().flat_map(|g| block(g).to_vec1::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let mut refused = 0;
    for text in AGGREGATORS {
        for steps in [0, 3] {
            for bad in refusals() {
                let (mut method, mut twin) = (aggregator(text), aggregator(text));
                for step in 0..steps {
                    method.aggregate(&good(step)).unwrap();
                    twin.aggregate(&good(step)).unwrap();
                }
                if method.aggregate(&bad).is_ok() {
                    continue;
                }
                refused += 1;
                assert_eq!(
                    method.save().unwrap().values,
                    twin.save().unwrap().values,
                    "{text}, {steps} steps"
                );
                for step in steps..steps + 2 {
                    let (a, b) =
                        (method.aggregate(&good(step)).unwrap(), twin.aggregate(&good(step)).unwrap());
                    assert!(numbers(&a) == numbers(&b) && a.weights == b.weights, "{text}, {steps} steps");
                }
            }
        }
    }
    assert!(refused > 4 * AGGREGATORS.len(), "{refused}");
}

/// Losses that come back after a step, and those of an epoch.
#[test]
fn what_is_fed_back_is_refused_or_ignored_where_it_is_not_finite() {
    let named = |b: f64| Named::new([("a", 0.5), ("b", b)]).unwrap();
    let tensors = |b: f64| named(b).map(|_, loss| Tensor::new(*loss, &Device::Cpu).unwrap());
    for text in SCALARIZERS {
        let mut method = scalarizer(text);
        for _ in 0..3 {
            scalarized(&mut *method, &tensors(1.5)).unwrap();
            method.after_step(&named(1.2)).unwrap();
            method.end_epoch(&named(1.5)).unwrap();
        }
        for bad in BAD {
            let before = method.save().unwrap().values;
            for told in [method.after_step(&named(bad)), method.end_epoch(&named(bad))] {
                assert!(
                    matches!(&told, Ok(()) | Err(Error::NonFinite { .. } | Error::Parameter { .. })),
                    "{text}: {told:?}"
                );
            }
            assert_eq!(method.save().unwrap().values, before, "{text}");
        }
        let found = scalarized(&mut *method, &tensors(1.5)).unwrap();
        assert!(found.weights.values().all(|weight| weight.is_finite()), "{text}");
    }
}

/// The weights are numbers, and their sum with the losses is none.
#[test]
fn a_scalar_that_is_not_finite_names_its_tasks() {
    let loss = |x: f64| Tensor::new(x, &Device::Cpu).unwrap();
    let losses = Named::new([("a", loss(1e300)), ("b", loss(2.0))]).unwrap();
    let mut constant = scalarizer(r#"{"name": "constant", "weights": [["a", 1e300], ["b", 1.0]]}"#);
    let error = scalarized(&mut *constant, &losses).unwrap_err();
    assert_eq!(error.to_string(), "scalar of the losses of `a`, `b` is not finite");
    let narrow = losses.map(|_, _| Tensor::new(2e38f32, &Device::Cpu).unwrap());
    let error = scalarized(&mut *scalarizer(r#"{"name": "sum"}"#), &narrow).unwrap_err();
    assert_eq!(error.to_string(), "scalar of the losses of `a`, `b` is not finite");
}

/// A state of any other method, and one with numbers of four tasks for three.
#[test]
fn a_state_that_does_not_fit_is_refused_now_or_at_the_next_step() {
    let saved = |text: &str| {
        let mut method = aggregator(text);
        method.aggregate(&jacobian(0, &TASKS, DType::F64)).unwrap();
        method.save().unwrap()
    };
    let states: Vec<State> = AGGREGATORS.iter().map(|text| saved(text)).collect();
    for text in AGGREGATORS {
        for (other, state) in AGGREGATORS.iter().zip(&states) {
            let mut method = aggregator(text);
            if let Err(error) = method.restore(state) {
                assert!(matches!(error, Error::State { .. }), "{text} from {other}: {error}");
                assert!(text != *other, "{text}: {error}");
            }
            match method.aggregate(&jacobian(1, &TASKS[..3], DType::F64)) {
                Ok(found) => assert!(is_finite(&found), "{text} from {other}"),
                Err(error) => assert!(
                    matches!(error, Error::Shape { .. } | Error::Unknown { .. } | Error::Parameter { .. }),
                    "{text} from {other}: {error}"
                ),
            }
        }
    }
}

/// The places of all numbers in a configuration.
fn places(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Number(_) => vec![at.into()],
        Value::Object(fields) => fields.iter().flat_map(|(k, v)| places(v, &format!("{at}/{k}"))).collect(),
        Value::Array(values) => {
            values.iter().enumerate().flat_map(|(i, v)| places(v, &format!("{at}/{i}"))).collect()
        }
        _ => Vec::new(),
    }
}

/// Every number of every configuration in turn, far out of any range: refused with its name, or a method that works.
#[test]
fn parameters_out_of_range_are_refused_by_name_or_harmless() {
    let built = |value: Value| -> Result<_, String> {
        let config = serde_json::from_value::<AggregatorConfig>(value).map_err(|error| error.to_string())?;
        config.build().map_err(|error| error.to_string())
    };
    let mut refused = 0;
    for text in AGGREGATORS {
        let config = json!(serde_json::from_str::<AggregatorConfig>(text).unwrap());
        for place in places(&config, "") {
            let name = place.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap();
            for wrong in [json!(-1.0), json!(-1e300), json!(1e300), json!(-1)] {
                let mut config = config.clone();
                *config.pointer_mut(&place).unwrap() = wrong.clone();
                match built(config) {
                    Ok(mut method) => {
                        let found = method.aggregate(&jacobian(0, &TASKS, DType::F64));
                        let fine = found.as_ref().map_or(true, is_finite);
                        assert!(fine, "{text}, {place} = {wrong}: {:?}", found.map(|found| found.weights));
                    }
                    Err(error) => {
                        let integer = error.contains("expected u64") || error.contains("expected usize");
                        assert!(error.contains(name) || integer, "{text}, {place} = {wrong}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

#[test]
fn parameters_of_scalarizers_below_any_range_are_refused_by_name_or_harmless() {
    let mut refused = 0;
    for text in SCALARIZERS {
        let config = json!(serde_json::from_str::<ScalarizerConfig>(text).unwrap());
        for place in places(&config, "") {
            // Errors say "weight of task" for one of the weights.
            let name = place.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap();
            let name = name.trim_end_matches('s');
            let mut config = config.clone();
            *config.pointer_mut(&place).unwrap() = json!(-1.0);
            if let Err(error) = serde_json::from_value::<ScalarizerConfig>(config) {
                let error = error.to_string();
                let integer = error.contains("expected u64") || error.contains("expected usize");
                assert!(error.contains(name) || integer, "{text}, {place}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 10, "{refused}");
}

/// Reading a configuration that is given one parameter too many names it.
fn names_what_is_unknown<T: DeserializeOwned + Debug>(text: &str) {
    let mut config: Value = serde_json::from_str(text).unwrap();
    config["no_such"] = json!(1);
    let error = serde_json::from_value::<T>(config).unwrap_err().to_string();
    assert!(error.contains("unknown field `no_such`"), "{text}: {error}");
}

#[test]
fn a_parameter_that_a_method_lacks_is_named() {
    AGGREGATORS.iter().for_each(|text| names_what_is_unknown::<AggregatorConfig>(text));
    SCALARIZERS.iter().for_each(|text| names_what_is_unknown::<ScalarizerConfig>(text));
}
