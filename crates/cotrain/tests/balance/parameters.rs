//! Balances of the tasks' gradients of the shared parameters.

use candle_core::Tensor;
use taskweave_cotrain::{Balance, Heads, Schedule, Step, StepBuilder};
use taskweave_heads::{HardSharing, Linear, MlpConfig, Mode, Model, Network, Params, Regression, Stage};
use taskweave_kernels::{Named, Owner, Result};
use taskweave_loss::criterion::Mse;
use taskweave_loss::scalarizer::Constant;
use taskweave_loss::weighting::{UpGrad, Weighting};
use taskweave_loss::{Jacobian, mean_loss};

use super::four;
use super::small::{all_values, batch, builder, owners, values};

fn aggregating(text: &str) -> (StepBuilder, Params) {
    let (builder, params) = builder(0.0);
    (builder.balance(four::of("parameters", text)), params)
}

fn close(a: &[f64], b: &[f64]) {
    four::close("values", a, b, 1e-12);
}

fn train(step: &mut Step, steps: u64) {
    (0..steps).for_each(|i| drop(step.step(&batch(i, 8)).unwrap()));
}

#[test]
fn the_sum_of_the_rows_is_the_gradient_of_the_sum() {
    let ((plain, expected), (aggregated, found)) = (builder(0.0), aggregating(r#"{"name": "sum"}"#));
    train(&mut plain.build().unwrap(), 5);
    train(&mut aggregated.build().unwrap(), 5);
    close(&all_values(&found), &all_values(&expected));
}

#[test]
fn weighted_heads_and_trunk_learn_the_weighted_sum() {
    let constant = Constant::new(Named::new([("sum", 2.0), ("product", 0.5)]).unwrap()).unwrap();
    let (plain, expected) = builder(0.0);
    train(&mut plain.balance(Balance::losses(Box::new(constant))).build().unwrap(), 5);
    let (aggregated, found) = builder(0.0);
    let balance = four::of("parameters", r#"{"name": "constant", "weights": [2.0, 0.5]}"#);
    let mut step = aggregated.balance(balance.heads(Heads::Weighted)).build().unwrap();
    train(&mut step, 5);
    close(&all_values(&found), &all_values(&expected));
    let report = step.step(&batch(9, 8)).unwrap();
    assert_eq!(report.aggregated, Some(Named::new([("sum", 2.0), ("product", 0.5)]).unwrap()));
    assert_eq!(report.weights, Named::new([("sum", 1.0), ("product", 1.0)]).unwrap());
}

#[test]
fn unit_heads_learn_their_own_loss_and_only_the_trunk_differs() {
    let ((plain, expected), (aggregated, found)) =
        (builder(0.0), aggregating(r#"{"name": "constant", "weights": [3.0, 0.0]}"#));
    plain.build().unwrap().step(&batch(0, 8)).unwrap();
    aggregated.build().unwrap().step(&batch(0, 8)).unwrap();
    for owner in &owners()[1..] {
        close(&values(&found, owner), &values(&expected, owner));
    }
    assert_ne!(values(&found, &Owner::Shared), values(&expected, &Owner::Shared));
}

#[test]
fn a_held_trunk_needs_no_aggregate() {
    // Krum refuses two tasks, so that every call of it shows.
    let (aggregated, params) = aggregating(r#"{"name": "krum"}"#);
    let mut step = aggregated.schedule(Schedule::Alternating { period: 1 }).build().unwrap();
    let before = values(&params, &Owner::Shared);
    assert_eq!(step.step(&batch(0, 8)).unwrap().aggregated, None);
    assert_eq!(values(&params, &Owner::Shared), before);
    let all = all_values(&params);
    assert!(step.step(&batch(1, 8)).unwrap_err().to_string().contains("tasks for krum"));
    assert_eq!(all_values(&params), all);
}

#[test]
fn weighted_heads_need_weights() {
    let weighted = |balance: Balance| builder(0.0).0.balance(balance.heads(Heads::Weighted)).build();
    let error = weighted(Balance::default()).err().unwrap();
    assert_eq!(error.to_string(), "heads: expected unit where no gradients are balanced, found weighted");
    for gradients in ["parameters", "representation"] {
        for method in [
            r#"{"name": "graddrop"}"#,
            r#"{"name": "trimmed_mean", "trim": 0}"#,
            r#"{"name": "per_group", "of": {"name": "mean"}}"#,
        ] {
            let error = weighted(four::of(gradients, method)).err().unwrap();
            let expected = "heads: expected unit where the aggregator has no weights, found weighted";
            assert_eq!(error.to_string(), expected, "{method}");
        }
        assert!(weighted(four::of(gradients, r#"{"name": "db_mtl", "beta": 0.0}"#)).is_ok());
    }
}

/// Layers so wide for so few samples that the products of their gradients are cheaper than the gradients, against the rows
/// that candle takes.
#[test]
fn gradients_that_are_not_stored_are_weighed_as_those_that_are() {
    let params = four::params();
    let trunk = MlpConfig { inputs: 2, widths: vec![40, 50], dropout: 0.0 }.build(&params.shared()).unwrap();
    let head = |task: &str| Box::new(Regression::new(&params.task(task), trunk.features(), 1).unwrap());
    let heads = Named::new(four::TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let balance = four::of("parameters", r#"{"name": "upgrad"}"#);
    let mut step = four::on(model, params.clone()).balance(balance).build().unwrap();
    let batch = four::batch(0, 2);
    let predictions = step.model().forward(&batch.inputs, Mode::Eval).unwrap();
    let losses = predictions.try_map(|task, x| mean_loss(&Mse, x, &batch.targets[task])).unwrap();
    let mut shared = params.named();
    params.named().iter().filter(|(_, p)| p.owner != Owner::Shared).for_each(|(n, _)| drop(shared.remove(n)));
    let jacobian = Jacobian::of(&losses, &shared).unwrap();
    let weights = UpGrad.weights(&jacobian.gramian().unwrap()).unwrap();
    let gradient = jacobian.combined(&weights).unwrap();
    let before = shared.map(|_, param| param.var.copy().unwrap());
    let report = step.step(&batch).unwrap();
    let found: Vec<f64> = report.aggregated.unwrap().values().copied().collect();
    four::close("weights", &found, &weights, 1e-9);
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for (name, param) in shared.iter() {
        let slope = gradient[name].clone().into_dense().unwrap();
        close(&flat(&param.var), &flat(&(&before[name] - (slope * 0.05).unwrap()).unwrap()));
    }
}

/// Shared parameters that a task does not reach are blocks of 0 in its row; what no task reaches is left alone.
#[test]
fn a_shared_parameter_that_a_task_does_not_reach_is_a_zero_block() {
    for text in [r#"{"name": "upgrad"}"#, r#"{"name": "graddrop"}"#] {
        let params = four::params();
        let model = Lopsided::new(&params);
        let mut step = four::on(model, params.clone()).balance(four::of("parameters", text)).build().unwrap();
        let shared = |name: &str| params.named()[name].var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let before = shared("shared.extra.weight");
        step.step(&four::with_tasks(&four::batch(0, 8), &["sum"])).unwrap();
        assert_eq!(shared("shared.extra.weight"), before, "{text}");
        step.step(&four::with_tasks(&four::batch(0, 8), &["sum", "product"])).unwrap();
        assert_ne!(shared("shared.extra.weight"), before, "{text}");
    }
}

/// Two tasks on one layer; only the second goes through another shared layer.
struct Lopsided {
    trunk: Linear,
    extra: Linear,
    heads: Named<Linear>,
}

impl Lopsided {
    fn new(params: &Params) -> Self {
        let head = |task| (task, Linear::new(&params.task(task), 5, 1).unwrap());
        Self {
            trunk: Linear::new(&params.shared().pp("trunk"), 2, 5).unwrap(),
            extra: Linear::new(&params.shared().pp("extra"), 5, 5).unwrap(),
            heads: Named::new(["sum", "product"].map(head)).unwrap(),
        }
    }
}

impl Model for Lopsided {
    fn tasks(&self) -> Vec<String> {
        self.heads.names().map(String::from).collect()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        let first = self.trunk.forward(&inputs["x"], mode)?;
        let second = self.extra.forward(&first, mode)?;
        Named::new([("sum", first), ("product", second)])
    }

    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        features.try_map(|task, x| self.heads.require("task", task)?.forward(x, mode))
    }
}
