//! Steps that aggregate the tasks' gradients of the shared parameters.

mod small;

use taskweave_cotrain::{Heads, Schedule, Step, StepBuilder};
use taskweave_heads::Params;
use taskweave_kernels::{Error, Named, Owner, Stateful};
use taskweave_loss::AggregatorConfig;
use taskweave_loss::scalarizer::Constant;

use small::{all_values, batch, builder, owners, values};

fn aggregating(text: &str) -> (StepBuilder, Params) {
    let (builder, params) = builder(0.0);
    let config: AggregatorConfig = serde_json::from_str(text).unwrap();
    (builder.aggregator(config.build().unwrap()), params)
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).for_each(|(x, y)| assert!((x - y).abs() < 1e-12, "{x} instead of {y}"));
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
    train(&mut plain.scalarizer(Box::new(constant)).build().unwrap(), 5);
    let (aggregated, found) = aggregating(r#"{"name": "constant", "weights": [2.0, 0.5]}"#);
    let mut step = aggregated.heads(Heads::Weighted).build().unwrap();
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
fn small_batches_aggregate_as_one_large_batch() {
    for text in [r#"{"name": "nash_mtl"}"#, r#"{"name": "upgrad"}"#, r#"{"name": "graddrop"}"#] {
        let ((one, expected), (several, found)) = (aggregating(text), aggregating(text));
        let whole = batch(4, 8);
        let part = |from: usize| {
            let mut part = whole.clone();
            part.inputs = whole.inputs.map(|_, x| x.narrow(0, from, 4).unwrap());
            let cut = |value: &taskweave_kernels::Target| {
                taskweave_kernels::Target::new(value.value().narrow(0, from, 4).unwrap()).unwrap()
            };
            part.targets = whole.targets.map(|_, target| cut(target));
            part.indices = whole.indices[from..from + 4].to_vec();
            part
        };
        let large = one.build().unwrap().step(&whole).unwrap();
        let small = several.build().unwrap().step_over(&[part(0), part(4)]).unwrap();
        close(&all_values(&found), &all_values(&expected));
        assert_eq!(large.aggregated.is_some(), small.aggregated.is_some(), "{text}");
    }
}

#[test]
fn what_an_aggregator_remembers_is_saved_and_restored() {
    for text in [
        r#"{"name": "gradvac", "beta": 0.3}"#,
        r#"{"name": "graddrop"}"#,
        r#"{"name": "ema", "of": {"name": "mgda"}}"#,
    ] {
        let ((first, params), (second, others)) = (aggregating(text), aggregating(text));
        let (mut first, mut second) = (first.build().unwrap(), second.build().unwrap());
        train(&mut first, 3);
        for (name, param) in others.named().iter() {
            param.var.set(&params.named()[name].var.copy().unwrap()).unwrap();
        }
        second.restore(&first.save().unwrap()).unwrap();
        train(&mut first, 3);
        train(&mut second, 3);
        assert_eq!(all_values(&params), all_values(&others), "{text}");
        let plain = builder(0.0).0.build().unwrap();
        assert!(matches!(second.restore(&plain.save().unwrap()), Err(Error::State { .. })), "{text}");
        assert!(matches!(
            builder(0.0).0.build().unwrap().restore(&first.save().unwrap()),
            Err(Error::State { .. })
        ));
    }
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
    let error = builder(0.0).0.heads(Heads::Weighted).build().err().unwrap();
    assert_eq!(error.to_string(), "heads: expected unit without an aggregator, found weighted");
    let mut step = aggregating(r#"{"name": "graddrop"}"#).0.heads(Heads::Weighted).build().unwrap();
    let error = step.step(&batch(0, 8)).unwrap_err();
    assert!(error.to_string().contains("unit where the aggregator has no weights"), "{error}");
}
