//! What every method promises: it resumes and repeats itself, and without its own term it is supervised training.

use taskweave_cotrain::teaching::TeachingConfig;
use taskweave_cotrain::{Checkpoints, EarlyStopping, Ensemble};
use taskweave_data::{Compose, Loader};
use taskweave_kernels::Named;
use taskweave_loss::Metric;
use taskweave_loss::metric::Classification;

use crate::class::{bits, clouds, ensemble, method_of, step, trained, trainer};
use crate::{Kill, Mirror, TWO, VIEWS, rows};

#[test]
fn every_method_resumes_in_the_middle_of_an_epoch_bit_for_bit() {
    for row in rows() {
        let whole = bits(&trained(&row, 3), None);
        let folder = tempfile::tempdir().unwrap();
        let part = |kill: u64| {
            let method = method_of(&row);
            let ensemble = ensemble(3, method.clone().build().terms().unwrap());
            let trainer = trainer(&ensemble, vec![method], 3)
                .checkpoints(Checkpoints::new(folder.path()))
                .checkpoint_every(1)
                .callback(Kill(kill));
            let ended = trainer.build().unwrap().fit(&mut step(&ensemble));
            (ensemble, ended.is_ok())
        };
        assert!(!part(2).1 && !part(6).1, "{row}");
        let (resumed, done) = part(99);
        assert!(done && bits(&resumed, None) == whole, "{row}");
    }
}

#[test]
fn turns_resume_in_the_middle_of_a_turn() {
    let mutual = format!(r#"{{"name": "mutual_learning", {TWO}, "reads": [["x", "weak"]]}}"#);
    let methods = || {
        let two = method_of(&mutual);
        let turns =
            r#"{"name": "rotation", "turns": [["class@a"], ["class@b", "class.mutual"]], "period": 3}"#;
        vec![two, method_of(turns)]
    };
    let train = |folder: Option<&std::path::Path>, kill: u64| {
        let ensemble = ensemble(3, methods()[0].clone().build().terms().unwrap());
        let mut trainer = trainer(&ensemble, methods(), 3).callback(Kill(kill));
        if let Some(folder) = folder {
            trainer = trainer.checkpoints(Checkpoints::new(folder)).checkpoint_every(1);
        }
        let done = trainer.build().unwrap().fit(&mut step(&ensemble)).is_ok();
        (bits(&ensemble, None), done)
    };
    let folder = tempfile::tempdir().unwrap();
    let (whole, done) = train(None, 99);
    assert!(done && !train(Some(folder.path()), 5).1);
    assert_eq!(train(Some(folder.path()), 99), (whole.clone(), true));
    assert_ne!(whole, bits(&trained(&mutual, 3), None));
}

#[test]
fn epochs_that_make_validation_worse_are_undone_with_every_method() {
    for row in rows().iter().filter(|row| !row.contains("noisy_student")) {
        let method = method_of(row);
        let ensemble = ensemble(3, method.clone().build().terms().unwrap());
        let terms = ensemble.terms().names().filter(|name| name.starts_with("class@"));
        let metric = |_| -> Box<dyn Metric> { Box::new(Classification::new(3).unwrap()) };
        let metrics = Named::new(terms.map(|name| (name, metric(name))).collect::<Vec<_>>()).unwrap();
        let mirrored = Compose::new(vec![Box::new(Mirror), Box::new(ensemble.spread())]);
        let valid = Loader::builder(clouds(30)).batch_size(30).transform(mirrored).build().unwrap();
        let rule = EarlyStopping { patience: 2, min_delta: 0.0 };
        let trainer = trainer(&ensemble, vec![method], 9).valid(valid, metrics).early_stopping(rule);
        let history = trainer.build().unwrap().fit(&mut step(&ensemble)).unwrap();
        let best = history.epochs.len() as u64 - 2;
        assert!(best < 7, "{row}: {best}");
        assert!(bits(&ensemble, None) == bits(&trained(row, best), None), "{row}: {best}");
        assert!(bits(&ensemble, None) != bits(&trained(row, best + 2), None), "{row}");
    }
}

#[test]
fn every_method_changes_every_network_that_it_trains_and_repeats_itself() {
    for row in rows() {
        let first = bits(&trained(&row, 3), None);
        assert_eq!(bits(&trained(&row, 3), None), first, "{row}");
        let terms = method_of(&row).build().terms().unwrap();
        let (before, after) = (ensemble(3, terms.clone()), trained(&row, 3));
        for member in terms.values().flat_map(|term| &term.members) {
            assert_ne!(bits(&before, Some(member)), bits(&after, Some(member)), "{row}: {member}");
        }
    }
}

#[test]
fn a_configuration_survives_a_file_and_refuses_what_it_does_not_know() {
    for row in rows() {
        let config = method_of(&row);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TeachingConfig>(&text).unwrap(), config);
        let unknown = text.replacen('{', r#"{"lamda": 1, "#, 1);
        assert!(serde_json::from_str::<TeachingConfig>(&unknown).is_err(), "{unknown}");
    }
}

fn supervised(members: &str) -> Ensemble {
    trained(&format!(r#"{{"name": "supervised", "members": {members}}}"#), 3)
}

#[test]
fn co_teaching_that_forgets_nothing_is_two_runs_that_know_nothing_of_each_other() {
    let keep = r#""small_loss": {"forget": 0.0, "steps": 5}"#;
    let (a, b) = (supervised(r#"["a"]"#), supervised(r#"["b"]"#));
    for row in [
        format!(r#"{{"name": "co_teaching", {TWO}, {keep}}}"#),
        format!(r#"{{"name": "co_teaching_plus", {TWO}, {keep}, "warm_up": 99}}"#),
    ] {
        let both = trained(&row, 3);
        assert!(
            bits(&both, Some("a")) == bits(&a, None) && bits(&both, Some("b")) == bits(&b, None),
            "{row}"
        );
    }
}

#[test]
fn a_method_without_its_own_term_is_supervised_training_bit_for_bit() {
    let teacher =
        r#""student": "a", "teacher": "mean", "reads": [["x", "strong"]], "teacher_reads": [["x", "weak"]]"#;
    let (one, two) = (supervised(r#"["a"]"#), supervised(r#"["a", "b"]"#));
    for (row, reference) in [
        (
            format!(
                r#"{{"name": "fix_match", "student": "a", {VIEWS}, "threshold": {{"name": "fixed", "tau": 1.01}}}}"#
            ),
            &one,
        ),
        (format!(r#"{{"name": "mean_teacher", {teacher}, "lambda": 0}}"#), &one),
        (format!(r#"{{"name": "mutual_learning", {TWO}, "reads": [["x", "x"]], "lambda": 0}}"#), &two),
        (format!(r#"{{"name": "cross_pseudo", {TWO}, "reads": [["x", "weak"]], "lambda": 0}}"#), &two),
        (
            format!(
                r#"{{"name": "deep_co_training", {TWO}, "view": "x", "input": "weak", "lambda_cot": 0, "lambda_dif": 0}}"#
            ),
            &two,
        ),
    ] {
        let found = trained(&row, 3);
        for member in ["a", "b"].into_iter().filter(|m| !reference.params().member(m).named().is_empty()) {
            assert!(bits(&found, Some(member)) == bits(reference, Some(member)), "{row}: {member}");
        }
    }
}
