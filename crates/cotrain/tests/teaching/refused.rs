//! What is refused: parameters, inputs, predictions, and parts that do not fit each other.

use candle_core::{DType, Device};
use taskweave_cotrain::teaching::{TaughtBatch, TeachingConfig, Teachings};
use taskweave_cotrain::{Cosines, Ensemble, Term, Trainer};
use taskweave_data::Loader;
use taskweave_heads::Params;
use taskweave_kernels::{Error, Named, Rng};

use crate::class::{bits, clouds, ensemble, method_of, network, step, unlabeled};
use crate::{TWO, VIEWS, batch, rows, taught};

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let keep = r#""small_loss": {"forget": 0.4, "steps": 6}"#;
    for (row, name) in [
        (r#"{"name": "supervised", "members": ["a", "a"]}"#.to_string(), "networks"),
        (format!(r#"{{"name": "co_teaching", "members": ["a", "a"], {keep}}}"#), "networks"),
        (format!(r#"{{"name": "co_teaching", {TWO}, "small_loss": {{"forget": 1, "steps": 6}}}}"#), "forget"),
        (format!(r#"{{"name": "co_teaching_plus", {TWO}, "small_loss": {{"forget": 0.1, "steps": 0}}}}"#), "steps"),
        (format!(r#"{{"name": "jocor", {TWO}, {keep}, "lambda": 1.1}}"#), "lambda"),
        (r#"{"name": "mutual_learning", "members": ["a"]}"#.into(), "networks"),
        (format!(r#"{{"name": "mutual_learning", {TWO}, "lambda": -1}}"#), "lambda"),
        (format!(r#"{{"name": "cross_pseudo", {TWO}, "lambda": -1}}"#), "lambda"),
        (format!(r#"{{"name": "deep_co_training", {TWO}, "view": "x", "input": "weak", "epsilon": 0}}"#), "epsilon"),
        (format!(r#"{{"name": "deep_co_training", {TWO}, "view": "x", "input": "weak", "lambda_dif": -1}}"#), "lambda_dif"),
        (r#"{"name": "mean_teacher", "student": "a", "teacher": "mean", "reads": [], "teacher_reads": [], "decay": 1}"#.into(), "decay"),
        (format!(r#"{{"name": "fix_match", "student": "a", "mean": "a", {VIEWS}}}"#), "networks"),
        (format!(r#"{{"name": "fix_match", "student": "a", {VIEWS}, "lambda": -2}}"#), "lambda"),
        (r#"{"name": "noisy_student", "generations": ["a", "b"], "plain": [], "noisy": [], "steps": 0}"#.into(), "steps"),
        (r#"{"name": "rotation", "turns": []}"#.into(), "turns"),
    ] {
        let error = method_of(&row).build().terms().unwrap_err();
        assert!(matches!(&error, Error::Parameter { name: found, .. } if found.contains(name)), "{row}: {error}");
    }
}

#[test]
fn missing_inputs_and_predictions_that_are_not_finite_are_refused() {
    for row in rows().iter().filter(|row| row.contains("weak") || row.contains("strong")) {
        let mut method = method_of(row).build();
        let ensemble = ensemble(3, method.terms().unwrap());
        // A late step, so that all generations have begun.
        let mut bare = TaughtBatch::new(batch(&ensemble, 0), None, 9).unwrap();
        let error = method.prepare(&mut bare, &ensemble).unwrap_err();
        assert!(matches!(&error, Error::Unknown { what, .. } if what == "input"), "{row}: {error}");
    }
    for row in
        rows().iter().filter(|row| !["supervised", "mutual", "cross"].iter().any(|name| row.contains(name)))
    {
        let mut method = method_of(row).build();
        let ensemble = ensemble(3, method.terms().unwrap());
        for param in ensemble.params().named().values() {
            param.var.set(&(param.var.ones_like().unwrap() * f64::INFINITY).unwrap()).unwrap();
        }
        let error = method.prepare(&mut taught(&ensemble, 9), &ensemble).unwrap_err();
        let expected = matches!(error, Error::NonFinite { .. } | Error::Parameter { .. });
        assert!(expected, "{row}: {error}");
    }
}

#[test]
fn no_step_of_any_method_learns_from_what_is_not_finite() {
    for row in rows() {
        let method = method_of(&row);
        let ensemble = ensemble(3, method.clone().build().terms().unwrap());
        let mut teachings = Teachings::new(&ensemble).teach(method.build()).unwrap().beside(unlabeled());
        let params = ensemble.params().named();
        let (name, broken) = params.iter().find(|(name, _)| name.starts_with("member.a.")).unwrap();
        broken.var.set(&broken.var.affine(0.0, f64::NAN).unwrap()).unwrap();
        let before = bits(&ensemble, Some("a"));
        let mut step = step(&ensemble);
        let error =
            teachings.prepare(batch(&ensemble, 0), 0, 0).and_then(|batch| step.step(&batch)).unwrap_err();
        let expected = matches!(error, Error::NonFinite { .. } | Error::Parameter { .. });
        assert!(expected, "{row}, {name}: {error}");
        assert_eq!(bits(&ensemble, Some("a")), before, "{row}");
    }
}

#[test]
fn teachings_that_do_not_fit_are_refused() {
    let two = method_of(&format!(r#"{{"name": "supervised", {TWO}}}"#));
    let mutual = || method_of(&format!(r#"{{"name": "mutual_learning", {TWO}}}"#)).build();
    let terms = two.build().terms().unwrap();
    let ensemble = ensemble(3, terms);
    assert!(matches!(Teachings::new(&ensemble).teach(mutual()), Err(Error::Unknown { .. })));
    let other = TeachingConfig::Supervised(taskweave_cotrain::teaching::Supervised {
        task: "class".into(),
        members: vec!["a".into()],
        criterion: serde_json::from_str(r#"{"name": "cross_entropy", "label_smoothing": 0.1}"#).unwrap(),
    });
    assert!(matches!(Teachings::new(&ensemble).teach(other.build()), Err(Error::Parameter { .. })));
    let loader = Loader::builder(clouds(24)).build().unwrap();
    let trainer =
        Trainer::builder(loader.clone()).teachings(Teachings::new(&ensemble)).cosines(Cosines::PerEpoch);
    assert!(matches!(trainer.build().err(), Some(Error::Parameter { name, .. }) if name == "cosines"));
    let mut method = mutual();
    let error = method.prepare(&mut taught(&ensemble, 0), &ensemble).unwrap_err();
    assert!(matches!(error, Error::Parameter { name, .. } if name == "reads"), "two sets of samples");
    // Both batches have the input `x`.
    let twice = loader.epoch(0).next().unwrap().unwrap();
    assert!(matches!(TaughtBatch::new(twice.clone(), Some(twice), 0), Err(Error::Name { .. })));
    let empty = Loader::builder(clouds(24)).indices(Vec::new()).build().err();
    assert!(matches!(empty, Some(Error::Parameter { name, .. }) if name == "samples of a loader"));
}

#[test]
fn ensembles_that_do_not_fit_are_refused() {
    let labels = || serde_json::from_str(r#"{"name": "cross_entropy"}"#).unwrap();
    let new = |terms: Named<Term>| {
        let params = Params::new(&Rng::new(0), DType::F64, &Device::Cpu);
        Ensemble::new(&params, Named::new([("a", network(&params, "a"))]).unwrap(), terms).err()
    };
    let terms = |term: Term| Named::new([("term", term)]).unwrap();
    assert!(matches!(new(Named::default()), Some(Error::Parameter { .. })));
    assert!(matches!(
        new(terms(Term::between::<&str>(&[], "class", labels()))),
        Some(Error::Parameter { .. })
    ));
    assert!(matches!(new(terms(Term::of("b", "class", labels()))), Some(Error::Unknown { .. })));
    assert!(matches!(new(terms(Term::of("a", "depth", labels()))), Some(Error::Unknown { .. })));
}
