//! Looking at steps: what is seen is what the step does, nothing is changed by looking, and files survive a resume.

mod fixture;
#[allow(dead_code, reason = "each test uses its part")]
mod small;

use std::fs;
use std::path::Path;

use candle_core::Tensor;
use fixture::{bits, trainer};
use taskweave_cotrain::diagnostics::{
    AffinityRecord, AffinityWatch, GradientRecord, GradientWatch, Layers, Period, panels,
};
use taskweave_cotrain::report::Report;
use taskweave_cotrain::{Callback, Checkpoints, JsonLines, Over, Part, StepReport, TrainerBuilder};
use taskweave_data::Loader;
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Error, Named, Owner, Result};
use taskweave_loss::{Affinity, Jacobian};

use small::{all_values, batch, builder};

/// A batch of the fixture's images.
fn images() -> taskweave_data::Batch {
    Loader::builder(fixture::shapes(8)).batch_size(8).build().unwrap().epoch(0).next().unwrap().unwrap()
}

fn numbers(jacobian: &Jacobian) -> Vec<f64> {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let blocks =
        jacobian.rows().values().flat_map(|row| row.values().map(|g| values(g.values())).collect::<Vec<_>>());
    blocks.flatten().collect()
}

#[test]
fn the_rows_are_what_the_step_sums_up_also_with_dropout() {
    let (builder, params) = builder(0.5);
    let plain = OptimizerConfig::Sgd(Sgd { lr: 0.1, ..Sgd::default() });
    let mut step = builder.optimizer(plain).build().unwrap();
    let (batch, before) = (batch(0, 8), params.tensors().try_map(|_, t| t.copy()).unwrap());
    let jacobian = step.rows(Part { batch: &batch, number: 0 }, Over::Shared).unwrap();
    assert_eq!(
        numbers(&jacobian),
        numbers(&step.rows(Part { batch: &batch, number: 0 }, Over::Shared).unwrap())
    );
    assert!(numbers(&jacobian).contains(&0.0), "dropout leaves something out");
    step.step(&batch).unwrap();
    let sum = jacobian.combined(&[1.0, 1.0]).unwrap();
    assert!(sum.len() > 1);
    for (name, gradient) in sum.iter() {
        let moved = (&before[name] - params.named()[name].var.as_tensor()).unwrap();
        let expected = (gradient.values() * 0.1).unwrap();
        let error = (moved - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        assert!(error < 1e-15, "{name}: {error}");
    }
}

#[test]
fn a_short_lookahead_is_the_gramian() {
    let (builder, _) = builder(0.5);
    let mut step = builder.build().unwrap();
    let batch = batch(0, 8);
    let gramian = step.rows(Part { batch: &batch, number: 0 }, Over::Shared).unwrap().gramian().unwrap();
    let (rate, found) = (1e-7, step.lookahead(&batch, 1e-7).unwrap());
    for (i, from) in small::TASKS.iter().enumerate() {
        for (j, to) in small::TASKS.iter().enumerate() {
            let slope = (found.before[*to] - found.after[*from][*to]) / rate;
            assert!((slope / gramian[(i, j)] - 1.0).abs() < 1e-5, "{from} {to}: {slope} {}", gramian[(i, j)]);
        }
    }
    let affinity = Affinity::of(&found.before, &found.after).unwrap();
    assert!(affinity.on("sum", "sum").unwrap() > 0.0);
}

#[test]
fn looking_changes_neither_parameters_nor_statistics_nor_what_comes() {
    let ((mut looked, params), (mut plain, others)) = (fixture::step(0), fixture::step(0));
    for _ in 0..3 {
        let before = bits(&params);
        let found = looked.lookahead(&images(), 0.1).unwrap();
        assert_ne!(found.before, found.after["class"]);
        looked.rows(Part { batch: &images(), number: 0 }, Over::Shared).unwrap();
        assert!(before == bits(&params));
        looked.step(&images()).unwrap();
        plain.step(&images()).unwrap();
        assert!(bits(&params) == bits(&others));
    }
}

#[test]
fn what_cannot_be_looked_at_is_an_error_and_changes_nothing() {
    let (builder, params) = builder(0.0);
    let mut step = builder.build().unwrap();
    let before = all_values(&params);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = step.lookahead(&batch(0, 8), rate).unwrap_err();
        assert!(matches!(&error, Error::Parameter { name, .. } if name == "rate of a lookahead"), "{error}");
    }
    // So far that the losses overflow.
    let error = step.lookahead(&batch(0, 8), 1e200).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: Some(0), .. }), "{error}");
    assert_eq!(all_values(&params), before);
    let mut broken = batch(0, 8);
    let nan = (broken.inputs["x"].clone() * f64::NAN).unwrap();
    broken.inputs = Named::new([("x", nan)]).unwrap();
    assert!(matches!(
        step.rows(Part { batch: &broken, number: 0 }, Over::Shared),
        Err(Error::NonFinite { .. })
    ));
    let mut unlabeled = batch(0, 8);
    unlabeled.targets = Named::default();
    assert!(step.rows(Part { batch: &unlabeled, number: 0 }, Over::Shared).unwrap().rows().is_empty());
    assert!(step.lookahead(&unlabeled, 0.1).unwrap().before.is_empty());
}

/// Ends the training with an error after a step.
struct Crash(u64);

impl Callback for Crash {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        match report.step == self.0 {
            true => Err(Error::parameter("step", "another one", report.step)),
            false => Ok(()),
        }
    }
}

fn watched(folder: &Path, epochs: u64) -> TrainerBuilder {
    let gradients = GradientWatch::new(folder.join("gradients.jsonl"), Period::Steps(2)).unwrap();
    let affinity = AffinityWatch::new(folder.join("affinity.jsonl"), Period::Epoch).unwrap();
    trainer(epochs, 0).callback(gradients.layers(Layers::Each)).callback(affinity)
}

#[test]
fn a_training_that_was_stopped_in_between_leaves_the_files_of_one_that_was_not() {
    let [whole, parts] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut step, params) = fixture::step(0);
    watched(whole.path(), 3).build().unwrap().fit(&mut step).unwrap();
    let reference = bits(&params);

    let checkpoints = || Checkpoints::new(parts.path().join("run"));
    let with = |epochs| watched(parts.path(), epochs).checkpoints(checkpoints()).checkpoint_every(3);
    for crash in [5, 11] {
        let (mut step, _) = fixture::step(0);
        let ended = with(3).callback(Crash(crash)).build().unwrap().fit(&mut step);
        assert!(ended.unwrap_err().to_string().contains("another one"));
    }
    let (mut step, params) = fixture::step(0);
    with(3).build().unwrap().fit(&mut step).unwrap();
    assert!(bits(&params) == reference);
    for name in ["gradients.jsonl", "affinity.jsonl"] {
        let text = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text(whole.path()), text(parts.path()), "{name}");
    }
    let records = JsonLines::read::<GradientRecord>(whole.path().join("gradients.jsonl")).unwrap();
    let steps: Vec<u64> = records.iter().map(|record| record.step).collect();
    assert_eq!(steps, (0..21).step_by(2).collect::<Vec<_>>());
    let epochs = JsonLines::read::<AffinityRecord>(whole.path().join("affinity.jsonl")).unwrap();
    assert_eq!(epochs.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 7, 14]);
    assert_eq!(AffinityWatch::mean(whole.path().join("affinity.jsonl")).unwrap().tasks().len(), 2);

    // The training itself has not noticed.
    let (mut step, params) = fixture::step(0);
    trainer(3, 0).build().unwrap().fit(&mut step).unwrap();
    assert!(bits(&params) == reference);
}

#[test]
fn layers_add_up_to_the_whole_and_make_panels() {
    let (mut step, params) = fixture::step(0);
    let jacobian = step.rows(Part { batch: &images(), number: 0 }, Over::Shared).unwrap();
    let record = GradientRecord::of(3, &jacobian, &Layers::Each).unwrap();
    let squares = |alignment: &taskweave_cotrain::diagnostics::Alignment| alignment.norms["class"].powi(2);
    let sum: f64 = record.layers.values().map(squares).sum();
    assert!((sum / squares(&record.shared) - 1.0).abs() < 1e-5);
    let shared = params.named();
    let shared = shared.values().filter(|p| p.owner == Owner::Shared && p.kind.is_trained()).count();
    assert_eq!(jacobian.rows()["class"].len(), shared);
    assert!(record.layers.len() > 1 && record.layers.len() < shared);
    let whole = GradientRecord::of(3, &jacobian, &Layers::Below(vec!["shared".into()])).unwrap();
    assert_eq!(whole.layers["shared"], whole.shared);
    let page = panels(Report::new("r"), &[record, whole]).unwrap().to_html().unwrap();
    for title in ["Cosines between", "Conflict rate by layer", "Cosines by layer", "class · mask"] {
        assert!(page.contains(title), "{title}");
    }
    assert!(matches!(panels(Report::new("r"), &[]), Err(Error::Parameter { .. })));
}

#[test]
fn an_unknown_layer_ends_the_training_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let watch = GradientWatch::new(folder.path().join("g.jsonl"), Period::Epoch).unwrap();
    let watch = watch.layers(Layers::Below(vec!["shared.none".into()]));
    let (mut step, _) = fixture::step(0);
    let error = trainer(1, 0).callback(watch).build().unwrap().fit(&mut step).unwrap_err();
    assert!(matches!(error, Error::Unknown { name, .. } if name == "shared.none"));
}
