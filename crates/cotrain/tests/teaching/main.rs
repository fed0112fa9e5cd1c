//! What methods that teach several networks promise. A new method is tested by a new row, and by what it says of
//! itself.

#[path = "../class/mod.rs"]
mod class;
mod gates;
mod methods;
mod promises;
mod refused;

use class::{clouds, unlabeled};
use taskweave_cotrain::teaching::TaughtBatch;
use taskweave_cotrain::{Callback, Ensemble, StepReport};
use taskweave_data::{Batch, Loader, Sample, Transform};
use taskweave_kernels::{Error, Result, Rng};

const TWO: &str = r#""members": ["a", "b"]"#;
const VIEWS: &str = r#""weak": [["x", "weak"]], "strong": [["x", "strong"]]"#;

/// The table: a new method is tested by a new row.
fn rows() -> Vec<String> {
    let keep = r#""small_loss": {"forget": 0.4, "steps": 6}"#;
    let gaussian = r#""ramp": {"name": "gaussian", "steps": 7}"#;
    let teacher =
        r#""student": "a", "teacher": "mean", "reads": [["x", "strong"]], "teacher_reads": [["x", "weak"]]"#;
    vec![
        format!(r#"{{"name": "supervised", {TWO}}}"#),
        format!(r#"{{"name": "co_teaching", {TWO}, {keep}}}"#),
        format!(r#"{{"name": "co_teaching_plus", {TWO}, {keep}, "warm_up": 3}}"#),
        format!(r#"{{"name": "jocor", {TWO}, {keep}, "lambda": 0.6}}"#),
        format!(r#"{{"name": "mutual_learning", "members": ["a", "b", "c"], "reads": [["x", "weak"]], {gaussian}}}"#),
        format!(r#"{{"name": "mutual_learning", {TWO}, "reads": [["x", "x"]]}}"#),
        format!(r#"{{"name": "cross_pseudo", {TWO}, "reads": [["x", "strong"]], {gaussian}}}"#),
        format!(r#"{{"name": "deep_co_training", {TWO}, "view": "x", "input": "weak", {gaussian}}}"#),
        format!(r#"{{"name": "mean_teacher", {teacher}, "decay": 0.8, {gaussian}}}"#),
        format!(r#"{{"name": "fix_match", "student": "a", "mean": "mean", "decay": 0.9, {VIEWS}, "threshold": {{"name": "fixed", "tau": 0.5}}}}"#),
        format!(r#"{{"name": "fix_match", "student": "a", {VIEWS}, "threshold": {{"name": "flexible", "samples": 40, "tau": 0.6}}}}"#),
        format!(r#"{{"name": "fix_match", "student": "a", {VIEWS}, "threshold": {{"name": "free", "momentum": 0.9}}, {gaussian}}}"#),
        r#"{"name": "noisy_student", "generations": ["a", "b", "c"], "plain": [["x", "weak"]], "noisy": [["x", "strong"]], "steps": 3}"#.into(),
    ]
}

/// A batch of the training's loader, as the ensemble names its labels.
fn batch(ensemble: &Ensemble, number: usize) -> Batch {
    let loader = Loader::builder(clouds(24)).batch_size(6).transform(ensemble.spread()).build().unwrap();
    loader.epoch_from(0, number).next().unwrap().unwrap()
}

fn taught(ensemble: &Ensemble, step: u64) -> TaughtBatch {
    let beside = unlabeled().epoch(0).next().unwrap().unwrap();
    TaughtBatch::new(batch(ensemble, 0), Some(beside), step).unwrap()
}

/// Ends a training where a kill would.
struct Kill(u64);

impl Callback for Kill {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        match report.step == self.0 {
            true => Err(Error::parameter("life", "longer", report.step)),
            false => Ok(()),
        }
    }
}

/// Turns every point to the other side, so that what is learned looks worse and worse.
struct Mirror;

impl Transform for Mirror {
    fn apply(&self, mut sample: Sample, _: &mut Rng) -> Result<Sample> {
        for input in sample.inputs.values_mut() {
            *input = input.neg()?;
        }
        Ok(sample)
    }
}
