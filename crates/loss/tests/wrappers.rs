//! What every aggregator answers beyond its gradient, one row per aggregator: a wrapper that swallows what it should hand
//! on to the method inside is caught by its row.

use candle_core::{Device, Tensor};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result, State, Stateful};
use taskweave_loss::aggregator::{BlockwiseConfig, Weighted, Within};
use taskweave_loss::weighting::{Ema, Every};
use taskweave_loss::{Aggregator, AggregatorConfig, Gramian, Jacobian, Weighting, WeightingConfig};

/// An aggregator and its answers.
struct Row {
    text: &'static str,
    answers: &'static [Answer],
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    /// It has a weighting by whose weights alone it forms a sum.
    Weighting,
    /// Its gradient is always a sum by weights that it reports.
    Weighs,
    /// It remembers something of every coordinate.
    Remembers,
    /// It takes a preference, which then are its weights.
    Prefers,
}

use Answer::*;

/// The table: a new aggregator is tested by a new row.
const ROWS: [Row; 18] = [
    Row { text: r#"{"name": "mean"}"#, answers: &[Weighting, Weighs] },
    Row { text: r#"{"name": "constant", "weights": [1, 1]}"#, answers: &[Weighting, Weighs, Prefers] },
    Row {
        text: r#"{"name": "ema", "of": {"name": "constant", "weights": [1, 1]}}"#,
        answers: &[Weighting, Weighs, Prefers],
    },
    Row { text: r#"{"name": "ema", "of": {"name": "mean"}}"#, answers: &[Weighting, Weighs] },
    Row {
        text: r#"{"name": "every", "steps": 3, "of": {"name": "constant", "weights": [1, 1]}}"#,
        answers: &[Weighting, Weighs, Prefers],
    },
    Row { text: r#"{"name": "every", "steps": 3, "of": {"name": "mean"}}"#, answers: &[Weighting, Weighs] },
    Row {
        text: r#"{"name": "per_group", "of": {"name": "constant", "weights": [1, 1]}}"#,
        answers: &[Prefers],
    },
    Row {
        text: r#"{"name": "per_group", "of": {"name": "ema", "of": {"name": "constant", "weights": [1, 1]}}}"#,
        answers: &[Prefers],
    },
    Row { text: r#"{"name": "per_group", "of": {"name": "mean"}}"#, answers: &[] },
    Row {
        text: r#"{"name": "within", "blocks": "v", "of": {"name": "constant", "weights": [1, 1]}}"#,
        answers: &[Weighs, Prefers],
    },
    Row { text: r#"{"name": "within", "blocks": "v", "of": {"name": "mean"}}"#, answers: &[Weighs] },
    Row { text: r#"{"name": "trimmed_mean", "trim": 0}"#, answers: &[] },
    Row { text: r#"{"name": "graddrop"}"#, answers: &[] },
    Row { text: r#"{"name": "db_mtl"}"#, answers: &[Remembers] },
    Row { text: r#"{"name": "db_mtl", "beta": 0.0}"#, answers: &[Weighs] },
    Row { text: r#"{"name": "moco"}"#, answers: &[Remembers] },
    Row { text: r#"{"name": "excess_mtl"}"#, answers: &[Weighs, Remembers] },
    Row { text: r#"{"name": "sam_gs"}"#, answers: &[Remembers] },
];

fn build(text: &str) -> Box<dyn Aggregator> {
    serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap()
}

/// Gradients (1, 0) and (0, 1), and the same in a second layer.
fn jacobian() -> Jacobian {
    let block = |x: [f64; 2]| Gradient::from(Tensor::new(&x, &Device::Cpu).unwrap());
    let row = |x: [f64; 2]| Named::new([("m.weight", block(x)), ("v.weight", block(x))]).unwrap();
    let rows = Named::new([("a", row([1.0, 0.0])), ("b", row([0.0, 1.0]))]).unwrap();
    let losses = Named::new([("a", 1.0), ("b", 1.0)]).unwrap();
    Jacobian::new(rows).unwrap().with_losses(losses).unwrap()
}

fn preference() -> Named<f64> {
    Named::new([("a", 0.2), ("b", 0.8)]).unwrap()
}

fn gradient(aggregator: &mut dyn Aggregator) -> Vec<f64> {
    let found = aggregator.aggregate(&jacobian()).unwrap().gradient;
    let block = |block: &Gradient| block.clone().into_dense().unwrap().to_vec1::<f64>().unwrap();
    found.values().flat_map(block).collect()
}

#[test]
fn every_aggregator_answers_for_itself_and_for_what_it_wraps() {
    for Row { text, answers } in &ROWS {
        let mut aggregator = build(text);
        let found = [
            (Weighting, aggregator.weighting().is_some()),
            (Weighs, aggregator.weighs()),
            (Remembers, aggregator.remembers_coordinates()),
        ];
        for (answer, found) in found {
            assert_eq!(found, answers.contains(&answer), "{text}: {answer:?}");
        }
        let weights = aggregator.aggregate(&jacobian()).unwrap().weights;
        assert!(weights.is_some() || !answers.contains(&Weighs), "{text}");
    }
}

/// Before the first step and after it; a restored one needs to be told as well, and goes on.
#[test]
fn a_preference_reaches_the_method_through_every_wrapper() {
    for Row { text, answers } in &ROWS {
        let (mut fresh, mut used) = (build(text), build(text));
        gradient(&mut *used);
        for aggregator in [&mut fresh, &mut used] {
            let before = aggregator.save().unwrap().values;
            let told = aggregator.prefer(&preference());
            if answers.contains(&Prefers) {
                told.unwrap();
                assert_eq!(gradient(&mut **aggregator), [0.2, 0.8, 0.2, 0.8], "{text}");
            } else {
                assert!(matches!(told, Err(Error::Parameter { .. })), "{text}");
                assert_eq!(aggregator.save().unwrap().values, before, "{text}");
            }
        }
        if answers.contains(&Prefers) {
            let mut restored = build(text);
            restored.prefer(&preference()).unwrap();
            restored.restore(&used.save().unwrap()).unwrap();
            assert_eq!(gradient(&mut *restored), [0.2, 0.8, 0.2, 0.8], "{text}");
        }
    }
}

/// The number of tasks alone would not tell them from others.
#[test]
fn weightings_that_know_their_tasks_see_every_gramian() {
    for (text, expected) in [
        (r#"{"name": "mean"}"#, true),
        (r#"{"name": "ema", "of": {"name": "mean"}}"#, false),
        (r#"{"name": "every", "steps": 3, "of": {"name": "mean"}}"#, false),
    ] {
        let mut weighting = serde_json::from_str::<WeightingConfig>(text).unwrap().build().unwrap();
        assert_eq!(weighting.without_gradients(&["a", "b"]).unwrap().is_some(), expected, "{text}");
        let of = |tasks: [&str; 2]| Gramian::new(tasks, &[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        weighting.weights(&of(["a", "b"])).unwrap();
        assert_eq!(weighting.weights(&of(["b", "a"])).is_ok(), expected, "{text}");
    }
}

#[test]
fn no_aggregator_is_missing_from_the_table() {
    for name in BlockwiseConfig::NAMES {
        let begin = format!(r#"{{"name": "{name}""#);
        assert!(ROWS.iter().any(|row| row.text.starts_with(&begin)), "{name}");
    }
}

/// A user's method with a state, whose weights are no numbers at its third call.
struct Wild {
    calls: u64,
    weights: Vec<f64>,
}

impl Weighting for Wild {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        self.calls += 1;
        Ok(if self.calls == 3 { self.weights.clone() } else { vec![self.calls as f64; gramian.len()] })
    }
}

impl Stateful for Wild {
    fn save(&self) -> Result<State> {
        State::of(&self.calls)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.calls = state.read("wild")?;
        Ok(())
    }
}

/// Everything that wraps a weighting of one's own.
fn around(weights: &[f64]) -> Vec<(&'static str, Box<dyn Aggregator>)> {
    let wild = || Box::new(Wild { calls: 0, weights: weights.to_vec() });
    let lifted = |weighting: Box<dyn Weighting>| Box::new(Weighted::new(weighting)) as Box<dyn Aggregator>;
    vec![
        ("weighted", lifted(wild())),
        ("ema", lifted(Box::new(Ema::new(0.5, wild()).unwrap()))),
        ("every", lifted(Box::new(Every::new(1, wild()).unwrap()))),
        ("ema of every", lifted(Box::new(Ema::new(0.5, Box::new(Every::new(1, wild()).unwrap())).unwrap()))),
        ("within", Box::new(Within::new("v", wild()))),
    ]
}

#[test]
fn weights_that_are_none_are_refused_by_every_wrapper_and_leave_its_state() {
    for (weights, expected) in [
        (vec![1.0, f64::NAN], "weight of `b` is not finite"),
        (vec![f64::INFINITY, 1.0], "weight of `a` is not finite"),
        (vec![1.0], "weights: expected shape [2], one per task, found [1]"),
    ] {
        for (name, mut wrapper) in around(&weights) {
            (0..2).for_each(|_| drop(gradient(&mut *wrapper)));
            let before = wrapper.save().unwrap().values;
            let error = wrapper.aggregate(&jacobian()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{name}");
            assert_eq!(wrapper.save().unwrap().values, before, "{name}");
        }
    }
}

/// What is refused at the very first call is not taken for the tasks from then on; what one group refuses, none has seen.
#[test]
fn a_refused_first_call_of_a_wrapper_leaves_it_as_new() {
    let block = |x: [f64; 2]| Gradient::from(Tensor::new(&x, &Device::Cpu).unwrap());
    let others = |bad: f64| {
        let row =
            |x: f64| Named::new([("m.weight", block([1.0, 0.5])), ("v.weight", block([x, 1.0]))]).unwrap();
        let rows = Named::new([("c", row(1.0)), ("d", row(bad)), ("e", row(2.0))]).unwrap();
        // Without losses, which GradNorm needs.
        Jacobian::new(rows).unwrap()
    };
    for inner in [
        r#"{"name": "gradnorm"}"#,
        r#"{"name": "gradvac", "seed": 3}"#,
        r#"{"name": "random", "seed": 3}"#,
        r#"{"name": "pcd", "primary": "a"}"#,
        r#"{"name": "nash_mtl"}"#,
    ] {
        for wrapper in [
            format!(r#"{{"name": "ema", "of": {inner}}}"#),
            format!(r#"{{"name": "every", "steps": 2, "of": {inner}}}"#),
            format!(r#"{{"name": "per_group", "of": {inner}}}"#),
            format!(r#"{{"name": "per_group", "of": {{"name": "ema", "of": {inner}}}}}"#),
            format!(r#"{{"name": "within", "blocks": "v", "of": {inner}}}"#),
        ] {
            let (mut found, mut fresh) = (build(&wrapper), build(&wrapper));
            let error = found.aggregate(&others(f64::NAN)).unwrap_err();
            let refused =
                matches!(error, Error::NonFinite { .. } | Error::Parameter { .. } | Error::Unknown { .. });
            assert!(refused, "{wrapper}: {error}");
            assert_eq!(found.save().unwrap().values, fresh.save().unwrap().values, "{wrapper}");
            assert_eq!(gradient(&mut *found), gradient(&mut *fresh), "{wrapper}");
        }
    }
}
