//! The gate of epochs: it goes back to what it kept, exactly, and stands on what it says it stands on.

use std::sync::Arc;

use taskweave_cotrain::gate::{EpochGate, Judged, LeftOut, Verdict};
use taskweave_cotrain::learner::Answers;
use taskweave_cotrain::report::Report;
use taskweave_cotrain::{Checkpoints, EarlyStopping, Ensemble, History, Step};
use taskweave_data::{Dataset, Label, Loader, Memory, Sample, SelectTasks, Spec, Subset};
use taskweave_kernels::{Error, Named, Result};

use crate::class::{bits, clouds, ensemble, method_of, step, trained, trainer};
use crate::{Kill, Mirror, TWO, rows};

fn three(members: &[&str]) -> Judged {
    Judged::new("class", members, Answers::Classes(3))
}

fn mirrored(len: usize) -> Loader {
    Loader::builder(clouds(len)).batch_size(len).transform(Mirror).build().unwrap()
}

fn plain(len: usize) -> Loader {
    Loader::builder(clouds(len)).batch_size(7).build().unwrap()
}

fn inputs() -> Loader {
    Loader::builder(Arc::new(SelectTasks::new(clouds(40), &[]).unwrap())).batch_size(9).build().unwrap()
}

fn of(row: &str) -> Ensemble {
    ensemble(3, method_of(row).build().terms().unwrap())
}

fn mutual() -> String {
    format!(r#"{{"name": "mutual_learning", {TWO}, "reads": [["x", "weak"]]}}"#)
}

#[test]
fn epochs_that_make_the_score_worse_are_undone_with_every_method() {
    for row in rows().iter().filter(|row| !row.contains("noisy_student")) {
        let ensemble = of(row);
        let gate = EpochGate::validation(&ensemble, three(&["a"]), mirrored(60)).unwrap();
        let gate = gate.tolerance(0.0).unwrap().patience(1);
        let trainer = trainer(&ensemble, vec![method_of(row)], 9).gate(gate);
        let history = trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap();
        let kept = history.returned_to.unwrap();
        assert_eq!(history.epochs.len() as u64, kept + 3, "{row}");
        let verdicts = history.epochs.iter().rev().map(|epoch| epoch.decision.as_ref().unwrap().verdict);
        let expected = [Verdict::Stopped, Verdict::Worse, Verdict::Kept];
        assert_eq!(verdicts.take(3).collect::<Vec<_>>(), expected, "{row}");
        assert!(bits(&ensemble, None) == bits(&trained(row, kept + 1), None), "{row}: {kept}");
        assert!(bits(&ensemble, None) != bits(&trained(row, kept + 3), None), "{row}");
    }
}

#[test]
fn what_follows_an_epoch_that_was_kept_is_as_if_no_worse_one_had_been() {
    let row = mutual();
    let run = |gate: bool, epochs: u64| {
        let ensemble = of(&row);
        let mut step = step(&ensemble);
        let mut builder = trainer(&ensemble, vec![method_of(&row)], epochs);
        if gate {
            let gate = EpochGate::validation(&ensemble, three(&["a"]), mirrored(60)).unwrap();
            builder = builder.gate(gate.tolerance(0.0).unwrap().patience(1));
        }
        let history = builder.build().unwrap().fit(&mut step).unwrap();
        (ensemble, step, history)
    };
    let on = |ensemble: &Ensemble, step: &mut Step| {
        trainer(ensemble, vec![method_of(&row)], 1).build().unwrap().fit(step).unwrap();
        (bits(ensemble, None), step.done())
    };
    let (gated, mut after, history) = run(true, 9);
    let (shorter, mut never, _) = run(false, history.returned_to.unwrap() + 1);
    assert!(history.epochs.len() as u64 > history.returned_to.unwrap() + 1);
    assert_eq!(on(&gated, &mut after), on(&shorter, &mut never));
}

#[test]
fn a_training_that_gets_better_is_left_alone() {
    let row = mutual();
    let ensemble = of(&row);
    let gate = EpochGate::validation(&ensemble, three(&["a", "b"]), plain(60)).unwrap();
    let trainer = trainer(&ensemble, vec![method_of(&row)], 4).gate(gate);
    let history = trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap();
    assert_eq!((history.epochs.len(), history.returned_to), (4, None));
    assert!(bits(&ensemble, None) == bits(&trained(&row, 4), None));
    let page = Report::new("A run").curves(history.gate_figure("What the gate saw").unwrap());
    assert!(page.to_html().unwrap().contains("least that is kept"));
}

/// What a network says of some samples, as classes.
fn said(ensemble: &Ensemble, member: &str, loader: &Loader) -> Vec<(u32, u32, bool)> {
    let batches = loader.epoch(0).map(|batch| batch.unwrap());
    let rows = batches.flat_map(|batch| {
        let prediction = ensemble.predict(member, "class", &Named::default(), &batch.inputs).unwrap();
        let said = prediction.argmax(1).unwrap().to_vec1::<u32>().unwrap();
        let Some(target) = batch.targets.get("class") else {
            return said.into_iter().map(|class| (class, 0, false)).collect::<Vec<_>>();
        };
        let labels = target.value().to_vec1::<u32>().unwrap();
        let weights = target.weight().to_vec1::<f32>().unwrap();
        let known = labels.into_iter().zip(weights.into_iter().map(|weight| weight > 0.0));
        said.into_iter().zip(known).map(|(said, (label, known))| (said, label, known)).collect()
    });
    rows.collect()
}

#[test]
fn without_validation_labels_the_score_is_agreement_and_what_was_left_out() {
    let row = mutual();
    let ensemble = of(&row);
    let left_out = Named::new([("a", plain(14)), ("b", plain(26))]).unwrap();
    let gate = EpochGate::unlabeled(&ensemble, three(&["a", "b"]), inputs(), left_out).unwrap();
    let trainer = trainer(&ensemble, vec![method_of(&row)], 1).gate(gate);
    let history = trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap();
    let judged = [("a", 14), ("b", 26)].map(|(member, len)| said(&ensemble, member, &plain(len))).concat();
    let known = judged.iter().filter(|(.., known)| *known);
    let right = known.clone().filter(|(said, label, _)| said == label).count();
    let accuracy = right as f64 / known.count() as f64;
    let [a, b] = ["a", "b"].map(|member| said(&ensemble, member, &inputs()));
    let share = |of: &[(u32, u32, bool)], class| of.iter().filter(|row| row.0 == class).count() as f64 / 40.0;
    let chance: f64 = (0..3).map(|class| share(&a, class) * share(&b, class)).sum();
    let met = a.iter().zip(&b).filter(|(a, b)| a.0 == b.0).count() as f64 / 40.0;
    let kappa = (met - chance) / (1.0 - chance);
    let decision = history.epochs[0].decision.as_ref().unwrap();
    assert!((decision.score - 0.5 * (kappa + accuracy)).abs() < 1e-12, "{decision:?}");
    assert!(kappa < 1.0 && accuracy < 1.0 && accuracy > 0.5, "{kappa} {accuracy}");
}

#[test]
fn of_several_networks_validation_labels_judge_the_mean_of_the_probabilities() {
    let row = mutual();
    let ensemble = of(&row);
    let gate = EpochGate::validation(&ensemble, three(&["a", "b"]), mirrored(60)).unwrap();
    let trainer = trainer(&ensemble, vec![method_of(&row)], 1).gate(gate);
    let history = trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap();
    let batch = mirrored(60).epoch(0).next().unwrap().unwrap();
    let probabilities = ["a", "b"].map(|member| {
        let logits = ensemble.predict(member, "class", &Named::default(), &batch.inputs).unwrap();
        candle_nn::ops::softmax(&logits, 1).unwrap()
    });
    let said = (&probabilities[0] + &probabilities[1]).unwrap().argmax(1).unwrap().to_vec1::<u32>().unwrap();
    let labels = batch.targets["class"].value().to_vec1::<u32>().unwrap();
    // Every fifth label is missing.
    let known: Vec<usize> = (0..60).filter(|i| i % 5 != 4).collect();
    let right = known.iter().filter(|&&i| said[i] == labels[i]).count();
    let score = history.epochs[0].decision.as_ref().unwrap().score;
    assert_eq!(score, right as f64 / known.len() as f64);
}

#[test]
fn a_gate_resumes_with_what_it_remembers() {
    let row = mutual();
    let run = |folder: Option<&std::path::Path>, kill: u64| -> (Ensemble, Result<History>) {
        let ensemble = of(&row);
        let left_out = Named::new([("a", mirrored(14)), ("b", mirrored(26))]).unwrap();
        let gate = EpochGate::unlabeled(&ensemble, three(&["a", "b"]), inputs(), left_out).unwrap();
        let mut trainer =
            trainer(&ensemble, vec![method_of(&row)], 9).gate(gate.patience(3)).callback(Kill(kill));
        if let Some(folder) = folder {
            trainer = trainer.checkpoints(Checkpoints::new(folder)).checkpoint_every(1);
        }
        let ended = trainer.build().unwrap().fit(&mut step(&ensemble));
        (ensemble, ended)
    };
    let seen = |history: &History| {
        let decisions =
            history.epochs.iter().map(|epoch| epoch.decision.clone().unwrap()).collect::<Vec<_>>();
        (history.returned_to, decisions)
    };
    let (whole, history) = run(None, 999);
    let history = history.unwrap();
    assert!(history.returned_to.is_some(), "{history:?}");
    let folder = tempfile::tempdir().unwrap();
    let last = history.epochs.len() as u64 * 4;
    for kill in [1, 6, last - 3] {
        assert!(run(Some(folder.path()), kill).1.is_err());
    }
    // The last time nothing is left to be trained.
    for _ in 0..2 {
        let (resumed, found) = run(Some(folder.path()), 999);
        assert_eq!(seen(&found.unwrap()), seen(&history));
        assert!(bits(&resumed, None) == bits(&whole, None));
    }
    let ensemble = of(&row);
    let without = trainer(&ensemble, vec![method_of(&row)], 9).checkpoints(Checkpoints::new(folder.path()));
    let error = without.build().unwrap().fit(&mut step(&ensemble)).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
}

/// The labels of one sample changed.
struct Changed(LeftOut<Arc<Memory>>, usize);

impl Dataset for Changed {
    fn spec(&self) -> &Spec {
        self.0.spec()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.0.get(index)?;
        for label in sample.targets.values_mut().filter(|_| index == self.1) {
            *label = Label::class((label.value().to_scalar::<u32>()? + 1) % 3)?;
        }
        Ok(sample)
    }
}

#[test]
fn a_network_never_learns_what_it_leaves_out() {
    let row = format!(r#"{{"name": "supervised", {TWO}}}"#);
    let trained = |changed: usize| {
        let labels = LeftOut::new(clouds(24), "class", &["class@a", "class@b"], 3).unwrap();
        let ensemble = of(&row);
        let loader = Loader::builder(Arc::new(Changed(labels, changed))).batch_size(6).build().unwrap();
        let mut step = step(&ensemble);
        for batch in loader.epoch(0) {
            step.step(&batch.unwrap()).unwrap();
        }
        ["a", "b"].map(|member| bits(&ensemble, Some(member)))
    };
    let labels = LeftOut::new(clouds(24), "class", &["class@a", "class@b"], 3).unwrap();
    let [own, others] = ["class@a", "class@b"].map(|term| labels.samples(term).unwrap());
    assert!(own.iter().all(|sample| !others.contains(sample)));
    // Of 24 labels every fifth is missing; folds share the rest, and every class is in each.
    assert_eq!((own.len(), others.len()), (7, 7));
    for fold in [&own, &others] {
        assert!((0..3).all(|class| fold.iter().any(|sample| sample % 3 == class)), "{fold:?}");
    }
    let before = trained(usize::MAX);
    let after = trained(own[0]);
    assert!(before[0] == after[0] && before[1] != after[1]);
}

#[test]
fn what_cannot_judge_is_refused() {
    let row = mutual();
    let ensemble = of(&row);
    let judged = |task: &str, members: &[&str]| Judged::new(task, members, Answers::Classes(3));
    let validation = |judged| EpochGate::validation(&ensemble, judged, plain(9)).err().unwrap();
    assert!(matches!(validation(judged("class", &["c"])), Error::Unknown { name, .. } if name == "c"));
    assert!(matches!(validation(judged("mask", &["a"])), Error::Unknown { name, .. } if name == "mask"));
    assert!(matches!(validation(judged("class", &[])), Error::Parameter { .. }));
    let some = Named::new([("a", plain(9))]).unwrap();
    let missing = EpochGate::unlabeled(&ensemble, three(&["a", "b"]), inputs(), some).err().unwrap();
    assert!(matches!(missing, Error::Unknown { name, .. } if name == "b"));
    let twice = validation(judged("class", &["a", "b", "a"]));
    assert!(matches!(&twice, Error::Name { name, .. } if name == "a"), "{twice}");
    let spare = Named::new([("a", plain(9)), ("b", plain(9))]).unwrap();
    let spare = EpochGate::unlabeled(&ensemble, three(&["a"]), inputs(), spare).err().unwrap();
    assert!(matches!(&spare, Error::Unknown { name, .. } if name == "b"), "{spare}");
    let gate = || EpochGate::validation(&ensemble, three(&["a"]), plain(9)).unwrap();
    assert!(matches!(gate().tolerance(-1.0), Err(Error::Parameter { .. })));
    assert!(matches!(gate().tolerance(f64::NAN), Err(Error::Parameter { .. })));

    let fails = |gate: EpochGate| {
        let trainer = trainer(&ensemble, vec![method_of(&row)], 1).gate(gate);
        trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap_err()
    };
    let wide = Judged::new("class", &["a"], Answers::Classes(4));
    let error = fails(EpochGate::validation(&ensemble, wide, plain(9)).unwrap());
    assert!(matches!(&error, Error::Shape { what, .. } if what.contains("class@a")), "{error}");
    // The fifth label is missing.
    let nobody = Loader::builder(Arc::new(Subset::new(clouds(9), vec![4]).unwrap())).build().unwrap();
    for loader in [inputs(), nobody] {
        let error = fails(EpochGate::validation(&ensemble, three(&["a"]), loader).unwrap());
        assert!(matches!(&error, Error::Parameter { name, .. } if name.starts_with("labels")), "{error}");
    }

    let rule = EarlyStopping { patience: 2, min_delta: 0.0 };
    let both = trainer(&ensemble, vec![method_of(&row)], 1).gate(gate()).early_stopping(rule);
    assert!(matches!(both.build(), Err(Error::Parameter { .. })));
    assert!(matches!(LeftOut::new(clouds(9), "mask", &["x"], 2), Err(Error::Unknown { .. })));
    assert!(matches!(LeftOut::new(clouds(9), "class", &[], 2), Err(Error::Parameter { .. })));
    assert!(matches!(LeftOut::new(clouds(9), "class", &["x", "x"], 2), Err(Error::Name { .. })));
    assert!(matches!(LeftOut::new(clouds(9), "class", &["x"], 9), Err(Error::Parameter { .. })));
    let labels = LeftOut::new(clouds(9), "class", &["x"], 2).unwrap();
    assert!(matches!(labels.samples("y"), Err(Error::Unknown { .. })));
}
