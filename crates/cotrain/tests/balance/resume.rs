//! Every method of every family, killed in the middle and resumed, and run twice.

use taskweave_cotrain::{Balance, Checkpoint, Checkpoints, Step};
use taskweave_kernels::{Error, Stateful};

use super::four::{aggregators, balance, batch, scalarizers, step, without_memory};
use super::small::all_values;

/// The table: every method in every place that it has.
fn table() -> Vec<String> {
    let losses = scalarizers().into_iter().map(|method| format!(r#"{{"losses": {method}}}"#));
    let of = |place: &'static str| {
        move |method: String| format!(r#"{{"gradients": {{"of": "{place}", "method": {method}}}}}"#)
    };
    let parameters = aggregators().into_iter().map(of("parameters"));
    let representation = without_memory().into_iter().map(of("representation"));
    let samples = ["upgrad", "pcgrad", "gradvac", "random"].map(|name| format!(r#"{{"name": "{name}"}}"#));
    let together = r#"{
        "losses": {"name": "uncertainty"}, "scale": "mean", "heads": "weighted", "normalize": "loss_plus",
        "gradients": {"of": "parameters", "method": {"name": "ema", "of": {"name": "pcgrad"}}},
        "refresh": 2, "seed": 9
    }"#;
    let rows = losses.chain(parameters).chain(representation).chain(samples.into_iter().map(of("samples")));
    rows.chain([together.to_string()]).collect()
}

fn train(step: &mut Step, steps: std::ops::Range<u64>) {
    for i in steps {
        let report = step.step(&batch(i, 6)).unwrap_or_else(|e| panic!("{}: {e}", step.balance().record()));
        if i % 2 == 1 {
            step.end_epoch(&report.losses).unwrap();
        }
    }
}

#[test]
fn a_training_that_was_killed_ends_as_one_that_was_not() {
    let rows = table();
    assert!(rows.len() > 50, "{}", rows.len());
    for text in &rows {
        let (mut whole, expected) = step(balance(text));
        train(&mut whole, 0..6);
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        {
            let (mut first, params) = step(balance(text));
            train(&mut first, 0..3);
            let checkpoint = Checkpoint { model: params.tensors(), state: first.save().unwrap() };
            checkpoints.save(3, &checkpoint).unwrap();
        }
        let (mut second, found) = step(balance(text));
        let Checkpoint { model, state } = checkpoints.latest().unwrap().unwrap();
        found.load(&model).unwrap();
        second.restore(&state).unwrap();
        train(&mut second, 3..6);
        assert_eq!(all_values(&found), all_values(&expected), "{text}");
    }
}

#[test]
fn the_seed_of_a_balance_is_that_of_all_its_methods() {
    let run = |text: &str| {
        let (mut step, params) = step(balance(text));
        train(&mut step, 0..3);
        all_values(&params)
    };
    for part in [
        r#""losses": {"name": "random"}"#,
        r#""gradients": {"of": "parameters", "method": {"name": "graddrop"}}"#,
        r#""gradients": {"of": "representation", "method": {"name": "ema", "of": {"name": "random"}}}"#,
        r#""gradients": {"of": "samples", "method": {"name": "pcgrad"}}"#,
    ] {
        let with = |seed: u64| run(&format!(r#"{{{part}, "seed": {seed}}}"#));
        assert_eq!(with(1), with(1), "{part}");
        assert_ne!(with(1), with(2), "{part}");
    }
}

/// A checkpoint says what it was trained by, and goes with nothing else.
#[test]
fn another_balance_is_refused_by_name() {
    let of = |c: f64| {
        let method = format!(r#"{{"name": "cagrad", "c": {c}}}"#);
        balance(&format!(r#"{{"gradients": {{"of": "parameters", "method": {method}}}}}"#))
    };
    let (mut first, _) = step(of(0.5));
    train(&mut first, 0..2);
    let state = first.save().unwrap();
    assert!(state.values["balance"]["record"].to_string().contains(r#""c":0.5"#), "{}", state.values);
    for other in [of(0.4), balance("{}"), of(0.5).scale(taskweave_cotrain::Scale::Mean)] {
        let (mut second, params) = step(other);
        let before = (all_values(&params), second.save().unwrap().values);
        let error = second.restore(&state).unwrap_err();
        assert!(matches!(&error, Error::State { .. }) && error.to_string().contains("cagrad"), "{error}");
        assert_eq!((all_values(&params), second.save().unwrap().values), before);
    }
    step(of(0.5)).0.restore(&state).unwrap();
}

/// A method that is given as it is has no name; its place and the conventions are written down.
#[test]
fn the_record_of_a_method_by_value_has_its_place() {
    let record = Balance::samples(Box::new(taskweave_loss::weighting::UpGrad)).record();
    assert_eq!(record["gradients"]["of"], "samples");
    assert_eq!(record["scale"], "sum");
    assert_eq!(record["refresh"], 1);
}
