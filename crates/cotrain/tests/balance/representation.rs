//! Balances of the tasks' gradients of the features, against gradients that candle takes of them.

use candle_core::{Tensor, Var};
use taskweave_cotrain::{Balance, Schedule, Step};
use taskweave_data::Batch;
use taskweave_heads::{
    Backbone, Features, HardSharing, Linear, Mode, Model, Network, Params, Regression, Stage,
};
use taskweave_kernels::{Error, Named, Owner, Result};
use taskweave_loss::criterion::Mse;
use taskweave_loss::{AggregatorConfig, Jacobian, WeightingConfig, mean_loss};

use super::four::{TASKS, batch, close, of, on, params, part, step, with_tasks, without_memory};
use super::small::{all_values, values};

const SUM: &str = r#"{"name": "sum"}"#;
const RATE: f64 = 0.05;

/// The tasks' gradients of hard-shared features, by candle alone, and the features.
fn explicit(step: &Step, batch: &Batch) -> (Tensor, Jacobian) {
    let features = step.model().share(&batch.inputs, Mode::Eval).unwrap()["sum"].clone();
    let copy = Var::from_tensor(&features.detach()).unwrap();
    let seen = Named::new(TASKS.map(|task| (task, copy.as_tensor().clone()))).unwrap();
    let predictions = step.model().heads(&seen, Mode::Eval).unwrap();
    let losses = predictions.try_map(|task, x| mean_loss(&Mse, x, &batch.targets[task])).unwrap();
    let copy = taskweave_kernels::Param::new(copy, taskweave_kernels::Kind::Weight, Owner::Shared);
    (features, Jacobian::of(&losses, &Named::new([("features", copy)]).unwrap()).unwrap())
}

/// What descent makes of the trunk where its features have this gradient.
fn descended(params: &Params, features: &Tensor, cotangent: &Tensor) -> Vec<f64> {
    let slopes = (features * cotangent).unwrap().sum_all().unwrap().backward().unwrap();
    let moved = |var: &Var| {
        let slope = slopes.get(var).unwrap();
        (var.as_tensor() - (slope * RATE).unwrap()).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    params.named().values().filter(|p| p.owner == Owner::Shared).flat_map(|p| moved(&p.var)).collect()
}

#[test]
fn the_sum_is_that_of_parameter_gradients_and_the_trunk_moves() {
    let ((mut one, found), (mut other, expected)) =
        (step(of("representation", SUM)), step(of("parameters", SUM)));
    let start = values(&found, &Owner::Shared);
    for i in 0..5 {
        one.step(&batch(i, 8)).unwrap();
        other.step(&batch(i, 8)).unwrap();
    }
    close("sum", &all_values(&found), &all_values(&expected), 1e-12);
    assert!(start.iter().zip(values(&found, &Owner::Shared)).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn every_method_trains_the_trunk() {
    for text in without_memory() {
        let (mut step, params) = step(of("representation", &text));
        let before = values(&params, &Owner::Shared);
        step.step(&batch(0, 8)).unwrap();
        let after = values(&params, &Owner::Shared);
        assert!(
            before.iter().zip(&after).any(|(a, b)| a != b) && after.iter().all(|v| v.is_finite()),
            "{text}"
        );
    }
}

#[test]
fn weights_are_those_of_the_features_gradients() {
    for text in [r#"{"name": "mgda"}"#, r#"{"name": "upgrad"}"#, r#"{"name": "nash_mtl"}"#] {
        let (mut step, params) = step(of("representation", text));
        let (features, jacobian) = explicit(&step, &batch(0, 8));
        let config: WeightingConfig = serde_json::from_str(text).unwrap();
        let weights = config.build().unwrap().weights(&jacobian.gramian().unwrap()).unwrap();
        let cotangent = jacobian.combined(&weights).unwrap()["features"].clone().into_dense().unwrap();
        let expected = descended(&params, &features, &cotangent);
        let report = step.step(&batch(0, 8)).unwrap();
        let found: Vec<f64> = report.aggregated.unwrap().values().copied().collect();
        close(text, &found, &weights, 1e-10);
        close(text, &values(&params, &Owner::Shared), &expected, 1e-12);
    }
}

/// The mean of the two middle gradients, number by number.
#[test]
fn coordinates_are_those_of_the_features() {
    let (mut step, params) = step(of("representation", r#"{"name": "trimmed_mean", "trim": 1}"#));
    let (features, jacobian) = explicit(&step, &batch(0, 8));
    let flat = |task: &str| {
        let block = jacobian.rows()[task]["features"].clone().into_dense().unwrap();
        block.flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let rows = TASKS.map(flat);
    let middle = |i: usize| {
        let mut column = [0, 1, 2, 3].map(|task| rows[task][i]);
        column.sort_by(f64::total_cmp);
        (column[1] + column[2]) / 2.0
    };
    let cotangent =
        Tensor::from_vec((0..rows[0].len()).map(middle).collect(), features.shape(), features.device());
    let expected = descended(&params, &features, &cotangent.unwrap());
    assert_eq!(step.step(&batch(0, 8)).unwrap().aggregated, None);
    close("trimmed mean", &values(&params, &Owner::Shared), &expected, 1e-12);
}

/// Of each feature, the gradients of the tasks whose products with the sign of the feature have the drawn sign in sum.
#[test]
fn graddrop_looks_at_the_signs_of_the_features() {
    let text = r#"{"name": "graddrop", "leak": 0.25, "seed": 4}"#;
    let (mut step, params) = step(of("representation", text));
    let (features, jacobian) = explicit(&step, &batch(0, 8));
    let drop = |jacobian: &Jacobian| {
        let mut method = serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap();
        method.aggregate(jacobian).unwrap().gradient["features"].clone().into_dense().unwrap()
    };
    let seen = Named::new([("features", features.detach())]).unwrap();
    let cotangent = drop(&jacobian.clone().with_features(seen).unwrap());
    let expected = descended(&params, &features, &cotangent);
    step.step(&batch(0, 8)).unwrap();
    close("graddrop", &values(&params, &Owner::Shared), &expected, 1e-12);
    assert_ne!(cotangent.to_vec2::<f64>().unwrap(), drop(&jacobian).to_vec2::<f64>().unwrap());
}

/// A model with everything at its seam: features that two tasks share, features of one task, a task's own layer in the
/// trunk, a shared layer behind the seam.
struct Odd {
    trunks: [Linear; 2],
    own: Linear,
    behind: Linear,
    heads: Named<Linear>,
}

impl Odd {
    fn new(params: &Params) -> Self {
        let shared = |name: &str, width| Linear::new(&params.shared().pp(name), width, 5).unwrap();
        let head = |task| (task, Linear::new(&params.task(task).pp("out"), 5, 1).unwrap());
        Self {
            trunks: [shared("left", 2), shared("right", 2)],
            own: Linear::new(&params.task("first").pp("in"), 5, 5).unwrap(),
            behind: shared("behind", 5),
            heads: Named::new(TASKS.map(head)).unwrap(),
        }
    }
}

impl Model for Odd {
    fn tasks(&self) -> Vec<String> {
        TASKS.map(String::from).to_vec()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        // Operations of candle at the seam, whose results are inside of its graph.
        let [left, right] =
            [0, 1].map(|i| Ok::<_, Error>(self.trunks[i].forward(&inputs["x"], mode)?.tanh()?));
        let (left, right) = (left?, right?);
        let own = self.own.forward(&right, mode)?.tanh()?;
        Named::new([("sum", left.clone()), ("product", left), ("first", own), ("second", right)])
    }

    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        features.try_map(|task, x| {
            let x = if task == "product" { self.behind.forward(x, mode)? } else { x.clone() };
            self.heads.require("task", task)?.forward(&x, mode)
        })
    }
}

#[test]
fn whatever_lies_at_the_seam_learns_as_by_the_losses() {
    for heads in [r#""unit""#, r#""weighted""#] {
        let build = |gradients: &str| {
            let method = r#"{"name": "constant", "weights": [2.0, 0.5, 3.0, 0.25]}"#;
            let text =
                format!(r#"{{"gradients": {{"of": "{gradients}", "method": {method}}}, "heads": {heads}}}"#);
            let params = params();
            (
                on(Odd::new(&params), params.clone()).balance(super::four::balance(&text)).build().unwrap(),
                params,
            )
        };
        let ((mut one, found), (mut other, expected)) = (build("representation"), build("parameters"));
        let start = all_values(&found);
        for i in 0..3 {
            one.step(&batch(i, 8)).unwrap();
            other.step(&batch(i, 8)).unwrap();
        }
        close(heads, &all_values(&found), &all_values(&expected), 1e-12);
        assert!(start.iter().zip(all_values(&found)).all(|(a, b)| *a != b), "all of it learns");
    }
}

/// Only what two tasks share is compared: the private features of the others count for nothing in the weights.
#[test]
fn private_features_do_not_weigh() {
    let params = params();
    let balance = of("representation", r#"{"name": "norm_balance"}"#);
    let mut step = on(Odd::new(&params), params.clone()).balance(balance).build().unwrap();
    let weights = step.step(&batch(0, 8)).unwrap().aggregated.unwrap();
    // A task that shares nothing has a gradient of 0 there.
    assert!(weights["sum"] != weights["product"] && weights["first"] == weights["second"], "{weights:?}");
}

fn refusal(step: &mut Step, batch: &Batch) -> String {
    let before = all_values(step.params());
    let error = step.step(batch).unwrap_err();
    assert!(matches!(error, Error::Parameter { .. }), "{error}");
    assert_eq!(all_values(step.params()), before);
    error.to_string()
}

#[test]
fn tasks_that_share_no_features_are_refused() {
    for text in [r#"{"name": "upgrad"}"#, r#"{"name": "graddrop"}"#] {
        let params = params();
        let balance = of("representation", text);
        let mut step = on(Odd::new(&params), params.clone()).balance(balance).build().unwrap();
        let apart = with_tasks(&batch(0, 8), &["first", "second", "sum"]);
        assert!(refusal(&mut step, &apart).contains("features that two tasks share"));
        // One task alone has nobody to share with, and learns.
        let before = values(&params, &Owner::Shared);
        step.step(&with_tasks(&batch(0, 8), &["sum"])).unwrap();
        assert_ne!(values(&params, &Owner::Shared), before);
    }
}

/// Shared parameters behind the seam alone.
struct Late {
    layer: Linear,
    heads: Named<Linear>,
}

impl Model for Late {
    fn tasks(&self) -> Vec<String> {
        TASKS.map(String::from).to_vec()
    }

    fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        Named::new(TASKS.map(|task| (task, inputs["x"].clone())))
    }

    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        features.try_map(|task, x| self.heads[task].forward(&self.layer.forward(x, mode)?, mode))
    }
}

#[test]
fn a_trunk_that_ends_before_it_begins_is_refused() {
    let params = params();
    let head = |task| (task, Linear::new(&params.task(task), 5, 1).unwrap());
    let heads = Named::new(TASKS.map(head)).unwrap();
    let model = Late { layer: Linear::new(&params.shared(), 2, 5).unwrap(), heads };
    let mut step = on(model, params).balance(of("representation", SUM)).build().unwrap();
    let whole = batch(0, 8);
    assert!(refusal(&mut step, &whole).contains("a trunk with shared parameters"));
    let error = step.step_over(&[part(&whole, 0, 4), part(&whole, 4, 4)]).unwrap_err().to_string();
    assert!(error.contains("a trunk with shared parameters"), "{error}");
}

#[test]
fn a_trunk_that_learns_nothing_is_refused() {
    let (params, features) = (params(), Features::Vector { width: 2 });
    let head =
        |task| (task, Box::new(Regression::new(&params.task(task), features, 1).unwrap()) as Box<dyn Stage>);
    let heads = Named::new(TASKS.map(head)).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", Backbone::new(Vec::new(), features))), heads);
    let error = on(model, params).balance(of("representation", SUM)).build().err().unwrap().to_string();
    assert!(error.contains("a trunk with shared parameters"), "{error}");
    let (builder, _) = super::four::builder();
    let alternating = builder.schedule(Schedule::Alternating { period: 1 });
    let error = alternating.balance(of("representation", SUM)).build().err().unwrap().to_string();
    assert!(error.contains("joint where representation gradients are balanced"), "{error}");
    let (builder, _) = super::four::builder();
    assert!(
        builder.schedule(Schedule::Alternating { period: 1 }).balance(Balance::default()).build().is_ok()
    );
}
