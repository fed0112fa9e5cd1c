//! What every update rule must do. A new rule is one more row of [`rows`].

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};

use super::{Group, Now, Optimizer, OptimizerConfig, Rule, pass};
use crate::autograd::{Gradient, RowGradient};
use crate::{Error, Kind, Named, Owner, Param, Rng, State, Stateful};

/// Every rule, with and without each of its options.
fn rows() -> Vec<OptimizerConfig> {
    [
        json!({"name": "sgd", "lr": 0.1}),
        json!({"name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        json!({"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": true}),
        json!({"name": "adam", "lr": 0.01}),
        json!({"name": "adam", "lr": 0.01, "betas": [0.8, 0.95], "weight_decay": 0.05, "amsgrad": true}),
        json!({"name": "adamw", "lr": 0.01, "weight_decay": 0.1}),
        json!({"name": "adamw", "lr": 0.01, "amsgrad": true}),
        json!({"name": "rmsprop", "lr": 0.01}),
        json!({"name": "rmsprop", "lr": 0.01, "momentum": 0.5}),
        json!({"name": "rmsprop", "lr": 0.01, "centered": true, "weight_decay": 0.01}),
        json!({"name": "rmsprop", "lr": 0.01, "centered": true, "momentum": 0.5}),
        json!({"name": "adagrad", "lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.01}),
    ]
    .map(|row| serde_json::from_value(row).unwrap())
    .to_vec()
}

fn param(values: Tensor, kind: Kind) -> Param {
    Param::new(Var::from_tensor(&values).unwrap(), kind, Owner::Shared)
}

fn random(rng: &mut Rng, shape: &[usize], dtype: DType) -> Tensor {
    let values: Vec<_> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// A network in miniature: a matrix longer than one chunk, a bias, a parameter without numbers, a buffer.
fn network(dtype: DType) -> Named<Param> {
    let mut rng = Rng::new(1);
    let rows = [
        ("weight", vec![130, 140], Kind::Weight),
        ("bias", vec![5], Kind::Bias),
        ("empty", vec![0, 4], Kind::Weight),
        ("mean", vec![5], Kind::Buffer),
    ];
    Named::new(rows.map(|(name, shape, kind)| (name, param(random(&mut rng, &shape, dtype), kind)))).unwrap()
}

fn gradients(params: &Named<Param>, step: u64) -> Named<Tensor> {
    let mut rng = Rng::new(2).fork_at(step);
    let trained = params.iter().filter(|(_, param)| param.kind.is_trained());
    let gradient = |param: &Param| random(&mut rng, param.var.dims(), DType::F64).to_dtype(param.var.dtype());
    let mut gradient = gradient;
    Named::new(trained.map(|(name, param)| (name, gradient(param).unwrap()))).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn all_values(params: &Named<Param>) -> Vec<Vec<f64>> {
    params.values().map(|param| values(&param.var)).collect()
}

fn run(optimizer: &mut Optimizer, params: &Named<Param>, steps: std::ops::Range<u64>) {
    for step in steps {
        optimizer.step(&gradients(params, step)).unwrap();
    }
}

fn trained(config: OptimizerConfig, dtype: DType, steps: u64) -> Vec<Vec<f64>> {
    let params = network(dtype);
    run(&mut Optimizer::new(config, params.clone()).unwrap(), &params, 0..steps);
    all_values(&params)
}

/// The state as it comes back from a file: host values through text.
fn through_text(state: State) -> State {
    let text = serde_json::to_string(&state.values).unwrap();
    State { values: serde_json::from_str(&text).unwrap(), ..state }
}

fn largest_difference(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn trajectories_equal_the_reference() {
    let Some(golden) = golden() else { return };
    let numbers = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let tensor = |value: &Value| Tensor::new(numbers(value), &Device::Cpu).unwrap();
    for row in golden["rows"].as_array().unwrap() {
        let mut config = row["config"].clone();
        config["name"] = row["name"].clone();
        let weight = param(tensor(&golden["initial"]), Kind::Weight);
        let params = Named::new([("x", weight.clone())]).unwrap();
        let mut optimizer = Optimizer::new(serde_json::from_value(config).unwrap(), params).unwrap();
        let steps = golden["gradients"].as_array().unwrap().iter().zip(row["trajectory"].as_array().unwrap());
        for (step, (gradient, expected)) in steps.enumerate() {
            optimizer.step(&Named::new([("x", tensor(gradient))]).unwrap()).unwrap();
            for (found, expected) in values(&weight.var).iter().zip(numbers(expected)) {
                let error = (found - expected).abs() / expected.abs();
                let what = format!("{} {} at step {step}: {found}", row["name"], row["config"]);
                assert!(error <= golden["rtol"].as_f64().unwrap(), "{what}, expected {expected}");
            }
        }
    }
}

/// The reference trajectories, where they are at hand.
fn golden() -> Option<Value> {
    let folder = std::env::var("TASKWEAVE_GOLDEN")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden").into());
    let path = std::path::Path::new(&folder).join("optimizers.json");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    for config in rows() {
        for dtype in [DType::F32, DType::F64] {
            let params = network(dtype);
            let mut first = Optimizer::new(config, params.clone()).unwrap();
            first.set_rate(0.02).unwrap();
            run(&mut first, &params, 0..3);
            let saved = through_text(first.save().unwrap());
            let copies = params
                .map(|_, p| Param { var: Var::from_tensor(&p.var.copy().unwrap()).unwrap(), ..p.clone() });
            // A saved state is a snapshot: going on does not change it.
            run(&mut first, &params, 3..6);

            let mut second = Optimizer::new(config, copies.clone()).unwrap();
            second.restore(&saved).unwrap();
            assert_eq!(second.rate(), 0.02);
            run(&mut second, &copies, 3..6);
            assert_eq!(all_values(&copies), all_values(&params), "{config:?} {dtype:?}");
        }
    }
}

#[test]
fn f32_follows_f64() {
    for config in rows() {
        let (single, double) = (trained(config, DType::F32, 5), trained(config, DType::F64, 5));
        // Where a centered RMSprop divides by a small deviation, rounding grows a little.
        assert!(largest_difference(&single, &double) < 5e-3, "{config:?}");
        assert!(largest_difference(&double, &all_values(&network(DType::F64))) > 1e-2, "{config:?}");
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    for config in rows() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| trained(config, DType::F32, 4))
        };
        assert_eq!(on(1), on(2), "{config:?}");
    }
}

#[test]
fn the_composed_formula_equals_the_fused_one() {
    fn check<R: Rule>(rule: R) {
        let mut rng = Rng::new(4);
        for dtype in [DType::F32, DType::F64] {
            let start = random(&mut rng, &[300], dtype);
            let vars = [0; 2].map(|_| Var::from_tensor(&start).unwrap());
            let mut slots = [0; 2].map(|_| {
                let zeros = |_| start.zeros_like().unwrap();
                rule.slots().iter().map(zeros).collect::<Vec<_>>()
            });
            for step in 1..6 {
                let formula = rule.at(Now { rate: rule.rate(), decay: 1.0, step });
                let gradient = random(&mut rng, &[300], dtype);
                pass::update(&formula, &vars[0], &gradient.clone().into(), &mut slots[0]).unwrap();
                pass::composed(&formula, &vars[1], &gradient, &mut slots[1]).unwrap();
            }
            assert_ne!(values(&vars[0]), values(&start), "{rule:?}");
            assert_eq!(values(&vars[0]), values(&vars[1]), "{rule:?} {dtype:?}");
            for (fused, composed) in slots[0].iter().zip(&slots[1]) {
                assert_eq!(values(fused), values(composed), "{rule:?} {dtype:?}");
            }
        }
    }
    for config in rows() {
        match config {
            OptimizerConfig::Sgd(rule) => check(rule),
            OptimizerConfig::Adam(rule) => check(rule),
            OptimizerConfig::AdamW(rule) => check(rule),
            OptimizerConfig::RmsProp(rule) => check(rule),
            OptimizerConfig::Adagrad(rule) => check(rule),
        }
    }
}

#[test]
fn half_precision_takes_the_composed_way() {
    for config in rows() {
        let (half, double) = (trained(config, DType::BF16, 2), trained(config, DType::F64, 2));
        assert!(largest_difference(&half, &double) < 0.3, "{config:?}");
        assert_ne!(half, all_values(&network(DType::BF16)), "{config:?}");
    }
}

#[test]
fn a_parameter_without_gradient_keeps_value_and_state() {
    for config in rows() {
        let params = network(DType::F64);
        let mut optimizer = Optimizer::new(config, params.clone()).unwrap();
        run(&mut optimizer, &params, 0..2);
        let (before, saved) = (all_values(&params), optimizer.save().unwrap());
        let mut some = gradients(&params, 2);
        some.remove("weight").unwrap();
        optimizer.step(&some).unwrap();
        let (after, resaved) = (all_values(&params), optimizer.save().unwrap());
        assert_eq!(before[0], after[0], "{config:?}");
        assert_ne!(before[1], after[1], "{config:?}");
        for (name, tensor) in saved.tensors.iter().filter(|(name, _)| name.starts_with("weight.")) {
            assert_eq!(values(tensor), values(&resaved.tensors[name]), "{config:?} {name}");
        }
        // Its next step is its own third one, as if the other parameter had not moved in between.
        run(&mut optimizer, &params, 2..3);
        assert_eq!(values(&params["weight"].var), trained(config, DType::F64, 3)[0], "{config:?}");
    }
}

/// Some rows of the weight's gradient, others at every step.
fn by_rows(step: u64, dtype: DType) -> Gradient {
    let rows: Vec<u32> = (0..130).filter(|row| (row + step as u32).is_multiple_of(3)).collect();
    let values = random(&mut Rng::new(5).fork_at(step), &[rows.len(), 140], dtype);
    Gradient::Rows(RowGradient::new(rows, values, 130).unwrap())
}

#[test]
fn a_gradient_by_rows_has_the_effect_of_the_dense_one() {
    for config in rows() {
        for dtype in [DType::F32, DType::F64, DType::BF16] {
            let trained = |dense: bool| {
                let params = network(dtype);
                let mut optimizer = Optimizer::new(config, params.clone()).unwrap();
                for step in 0..4 {
                    let gradient = by_rows(step, dtype);
                    let gradient = if dense { gradient.into_dense().unwrap().into() } else { gradient };
                    optimizer.step(&Named::new([("weight", gradient)]).unwrap()).unwrap();
                }
                let slots = optimizer.save().unwrap().tensors;
                (all_values(&params), slots.values().map(values).collect::<Vec<_>>())
            };
            assert_eq!(trained(false), trained(true), "{config:?}");
        }
    }
}

#[test]
fn a_bad_gradient_by_rows_changes_nothing() {
    for config in rows() {
        let params = network(DType::F32);
        let mut optimizer = Optimizer::new(config, params.clone()).unwrap();
        let good = by_rows(0, DType::F32);
        let step = |optimizer: &mut Optimizer, bad: Gradient| {
            optimizer.step(&Named::new([("weight", bad)]).unwrap()).unwrap_err().to_string()
        };
        let nan = good.with_values((good.values() * f64::NAN).unwrap()).unwrap();
        assert_eq!(step(&mut optimizer, nan), "gradient of `weight` is not finite");
        let lower = RowGradient::new(vec![1], good.values().narrow(0, 0, 1).unwrap(), 129).unwrap();
        assert!(step(&mut optimizer, Gradient::Rows(lower)).contains("expected shape [130, 140]"));
        assert!(step(&mut optimizer, by_rows(0, DType::F64)).contains("expected dtype F32"));
        assert_eq!(all_values(&params), all_values(&network(DType::F32)), "{config:?}");
    }
}

#[test]
fn a_bad_gradient_changes_nothing() {
    for config in rows() {
        let params = network(DType::F32);
        let mut optimizer = Optimizer::new(config, params.clone()).unwrap();
        run(&mut optimizer, &params, 0..2);
        let before = all_values(&params);
        let spoiled = |name: &str, bad: Tensor| {
            let mut all = gradients(&params, 2);
            all.remove(name);
            all.insert(name, bad).unwrap();
            all
        };
        let nan = Tensor::new(&[1f32, 2.0, f32::NAN, 3.0, 4.0], &Device::Cpu).unwrap();
        let infinite = Tensor::new(&[1f32, 2.0, 0.0, f32::INFINITY, 4.0], &Device::Cpu).unwrap();
        let good = nan.zeros_like().unwrap();
        let error = optimizer.step(&spoiled("bias", nan)).unwrap_err();
        assert_eq!(error.to_string(), "gradient of `bias` is not finite");
        assert!(matches!(optimizer.step(&spoiled("bias", infinite)), Err(Error::NonFinite { .. })));
        let double = good.to_dtype(DType::F64).unwrap();
        assert!(matches!(optimizer.step(&spoiled("bias", double)), Err(Error::DType { .. })));
        let longer = Tensor::zeros(6, DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(optimizer.step(&spoiled("bias", longer)), Err(Error::Shape { .. })));
        for unknown in ["mean", "other"] {
            let gradients = spoiled(unknown, good.clone());
            assert!(matches!(optimizer.step(&gradients), Err(Error::Unknown { .. })));
        }
        assert_eq!(all_values(&params), before, "{config:?}");
        run(&mut optimizer, &params, 2..4);
        assert_eq!(all_values(&params), trained(config, DType::F32, 4), "{config:?}");
    }
}

#[test]
fn strided_gradients_and_views_of_parameters_are_taken_by_value() {
    for config in rows() {
        let square = random(&mut Rng::new(3), &[4, 4], DType::F64);
        let result = |gradient: &dyn Fn(&Var) -> Tensor| {
            let weight = param(square.clone(), Kind::Weight);
            let other = param(square.t().unwrap(), Kind::Weight);
            let params = Named::new([("a", weight.clone()), ("b", other.clone())]).unwrap();
            let gradients = Named::new([("a", gradient(&weight.var)), ("b", gradient(&weight.var))]).unwrap();
            Optimizer::new(config, params).unwrap().step(&gradients).unwrap();
            [values(&weight.var), values(&other.var)]
        };
        let copied = result(&|var| var.t().unwrap().force_contiguous().unwrap());
        assert_eq!(result(&|_| square.t().unwrap()), copied, "{config:?}");
        assert_eq!(result(&|var| var.t().unwrap()), copied, "{config:?}");
        let own = result(&|var| var.copy().unwrap());
        assert_eq!(result(&|var| var.as_tensor().clone()), own, "{config:?}");
    }
}

#[test]
fn decay_is_for_weights_and_embeddings_and_groups_change_that() {
    for config in rows().into_iter().filter(|config| json!(config)["weight_decay"].as_f64() != Some(0.0)) {
        let one_step = |kind: Kind, group: fn(&str, &Param) -> Group| {
            let params =
                Named::new([("x", param(Tensor::new(&[3f64], &Device::Cpu).unwrap(), kind))]).unwrap();
            let zero = Named::new([("x", Tensor::new(&[0f64], &Device::Cpu).unwrap())]).unwrap();
            Optimizer::with_groups(config, params.clone(), group).unwrap().step(&zero).unwrap();
            values(&params["x"].var)[0]
        };
        for kind in [Kind::Weight, Kind::Embedding] {
            assert!(one_step(kind, Group::of) < 3.0, "{config:?}");
            assert_eq!(one_step(kind, |_, _| Group { rate: 1.0, decay: 0.0 }), 3.0, "{config:?}");
            assert_eq!(one_step(kind, |_, _| Group { rate: 0.0, decay: 1.0 }), 3.0, "{config:?}");
        }
        for kind in [Kind::Bias, Kind::Norm, Kind::Objective] {
            assert_eq!(one_step(kind, Group::of), 3.0, "{config:?}");
            assert!(one_step(kind, |_, _| Group { rate: 1.0, decay: 1.0 }) < 3.0, "{config:?}");
        }
    }
}

#[test]
fn the_rate_is_that_of_the_group_times_the_one_set() {
    for config in rows() {
        let moved = |factor: f64, rate: f64| {
            let params = network(DType::F64);
            let group = |name: &str, param: &Param| Group { rate: factor, ..Group::of(name, param) };
            let mut optimizer = Optimizer::with_groups(config, params.clone(), group).unwrap();
            optimizer.set_rate(rate).unwrap();
            run(&mut optimizer, &params, 0..3);
            all_values(&params)
        };
        assert_eq!(moved(2.0, 0.25), moved(1.0, 0.5), "{config:?}");
        assert_eq!(moved(1.0, 0.0), all_values(&network(DType::F64)), "{config:?}");
    }
}

#[test]
fn a_state_of_another_optimizer_is_refused_and_changes_nothing() {
    let configs = rows();
    let params = network(DType::F64);
    let saved: Vec<_> = configs
        .iter()
        .map(|config| Optimizer::new(*config, params.clone()).unwrap().save().unwrap())
        .collect();
    for (i, config) in configs.iter().enumerate() {
        let params = network(DType::F64);
        let mut optimizer = Optimizer::new(*config, params.clone()).unwrap();
        run(&mut optimizer, &params, 0..2);
        for (j, state) in saved.iter().enumerate().filter(|(j, _)| *j != i) {
            assert!(matches!(optimizer.restore(state), Err(Error::State { .. })), "{config:?} row {j}");
        }
        run(&mut optimizer, &params, 2..4);
        assert_eq!(all_values(&params), trained(*config, DType::F64, 4), "{config:?}");
    }
}
