//! What every protocol promises: equal bits for equal seeds, exact resuming, also after SIGKILL, and typed errors.

mod fixture;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{bits, shapes, step_of, trainer};
use taskweave_cotrain::protocol::{Batches, Needs, Protocol, ProtocolConfig};
use taskweave_cotrain::{
    Callback, Checkpoints, History, Sampling, Schedule, Step, StepReport, Trainer, TrainerBuilder,
};
use taskweave_data::{Batch, Last, Loader, Order};
use taskweave_heads::{CnnConfig, Params};
use taskweave_kernels::{Error, Named, Result, Rng, Stateful};
use taskweave_loss::{AggregatorConfig, ScalarizerConfig};

/// The table: a new protocol is tested by a new row.
const ROWS: [&str; 9] = [
    r#"{"name": "plain", "batches": 2}"#,
    r#"{"name": "modo", "gamma": 0.1, "rho": 0.1}"#,
    r#"{"name": "modo", "gamma": 0.1, "heads": "weighted"}"#,
    r#"{"name": "sdmgrad", "steps": 4, "lr": 0.1, "pairs": 1, "preference": [1.0, 2.0]}"#,
    r#"{"name": "sdmgrad", "steps": 4, "lr": 0.1, "pairs": 2, "scale": "none"}"#,
    r#"{"name": "auto_lambda", "primary": ["class"], "lr": 0.01}"#,
    r#"{"name": "auto_lambda", "rate": 0.1, "lr": 0.01, "bound": "none"}"#,
    r#"{"name": "moml", "steps": 2, "rate": 0.05, "lr": 0.05, "normalize": "l2"}"#,
    r#"{"name": "forum", "steps": 2, "rate": 0.05, "lr": 0.05, "normalize": "l2"}"#,
];

fn config(text: &str) -> ProtocolConfig {
    serde_json::from_str(text).unwrap()
}

fn upper() -> Loader {
    Loader::builder(shapes(22)).batch_size(6).order(Order::Shuffled).rng(Rng::new(9)).build().unwrap()
}

/// Dropout and batch normalization, seven batches an epoch to learn from and four to judge by.
fn training(text: &str, workers: usize) -> TrainerBuilder {
    let protocol = config(text).build().unwrap();
    let judged = protocol.needs().upper > 0;
    let builder = trainer(3, workers).protocol(protocol);
    if judged { builder.upper(upper()) } else { builder }
}

fn step(seed: u64) -> (Step, Params) {
    step_of(seed, CnnConfig { dropout: 0.2, ..CnnConfig::new(3, &[4, 6]) }, Schedule::Joint)
}

type Bits = Vec<(String, Vec<u32>)>;

fn whole(text: &str, seed: u64, workers: usize) -> (Bits, History) {
    let (mut step, params) = step(seed);
    let mut history = training(text, workers).build().unwrap().fit(&mut step).unwrap();
    history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    (bits(&params), history)
}

#[test]
fn equal_seeds_give_equal_bits_for_any_number_of_workers() {
    for text in ROWS {
        let (first, again) = (whole(text, 0, 1), whole(text, 0, 3));
        assert!(first == again, "{text}");
        assert!(first.0 != whole(text, 1, 1).0, "{text}: another seed is another run");
    }
}

#[test]
fn a_protocol_takes_as_many_steps_as_its_batches_allow() {
    for (text, steps) in ROWS.iter().zip([4, 2, 2, 2, 1, 7, 7, 7, 7]) {
        let history = whole(text, 0, 1).1;
        assert_eq!(history.epochs.iter().map(|e| e.steps).collect::<Vec<_>>(), [steps, 2 * steps, 3 * steps]);
    }
}

#[test]
fn weights_of_the_tasks_are_in_the_history_and_move() {
    for text in &ROWS[1..] {
        let weights = |epoch: usize| whole(text, 0, 1).1.epochs[epoch].weights["class"];
        assert_ne!(weights(0), weights(2), "{text}");
    }
}

/// Ends a training in the middle, as a full disk would.
struct Fail(u64);

impl Callback for Fail {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        if report.step == self.0 { Err(Error::parameter("disk", "room", "none")) } else { Ok(()) }
    }
}

#[test]
fn a_training_that_fails_in_the_middle_goes_on_as_if_it_had_not() {
    for text in ROWS {
        let folder = tempfile::tempdir().unwrap();
        for fail in [Some(0), Some(2), None] {
            let (mut step, params) = step(0);
            let mut builder =
                training(text, 1).checkpoints(Checkpoints::new(folder.path())).checkpoint_every(1);
            if let Some(at) = fail {
                builder = builder.callback(Fail(at));
                assert!(builder.build().unwrap().fit(&mut step).is_err(), "{text}");
                continue;
            }
            let mut history = builder.build().unwrap().fit(&mut step).unwrap();
            history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
            assert!((bits(&params), history) == whole(text, 0, 1), "{text}");
        }
    }
}

fn batches(loader: &Loader, count: usize) -> Vec<Batch> {
    loader.epoch(0).take(count).map(|batch| batch.unwrap()).collect()
}

#[test]
fn a_restored_protocol_goes_on_to_the_bit() {
    let train = Loader::builder(shapes(60)).batch_size(6).build().unwrap();
    for text in ROWS {
        let protocol = || config(text).build().unwrap();
        let (mut first, mut second) = (protocol(), protocol());
        let Needs { train: n, upper: m, .. } = first.needs();
        let (own, judges) = (batches(&train, n), batches(&upper(), m));
        let given = Batches { train: &own, upper: &judges };
        let (mut step_a, mut step_b) = (step(0).0, step(0).0);
        (0..3).for_each(|_| drop(first.step(&mut step_a, &given).unwrap()));
        second.restore(&first.save().unwrap()).unwrap();
        step_b.restore(&step_a.save().unwrap()).unwrap();
        step_b.params().load(&step_a.params().tensors()).unwrap();
        for _ in 0..2 {
            let (a, b) = (first.step(&mut step_a, &given).unwrap(), second.step(&mut step_b, &given).unwrap());
            assert_eq!((a.value, &a.weights, a.gradient_norm), (b.value, &b.weights, b.gradient_norm), "{text}");
        }
        assert!(bits(step_a.params()) == bits(step_b.params()), "{text}");
    }
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let train = Loader::builder(shapes(60)).batch_size(6).build().unwrap();
    for text in ROWS {
        let mut protocol = config(text).build().unwrap();
        let Needs { train: n, upper: m, .. } = protocol.needs();
        let (mut own, judges) = (batches(&train, n), batches(&upper(), m));
        let (mut step, params) = step(0);
        protocol.step(&mut step, &Batches { train: &own, upper: &judges }).unwrap();
        let before = (bits(&params), protocol.save().unwrap().values, step.done());
        let image = own[n - 1].inputs.get_mut("image").unwrap();
        *image = (&*image * f64::NAN).unwrap();
        let error = protocol.step(&mut step, &Batches { train: &own, upper: &judges }).unwrap_err();
        assert!(matches!(error, Error::NonFinite { step: Some(1), .. }), "{text}: {error}");
        let trained = |bits: &Bits| -> Bits { bits.iter().filter(|(name, _)| !name.contains("running")).cloned().collect() };
        assert!(trained(&bits(&params)) == trained(&before.0), "{text}");
        assert_eq!((protocol.save().unwrap().values, step.done()), (before.1, before.2), "{text}");
    }
}

#[test]
fn too_few_batches_are_refused() {
    for text in &ROWS[1..] {
        let mut protocol = config(text).build().unwrap();
        let (mut step, _) = step(0);
        let none = protocol.step(&mut step, &Batches { train: &[], upper: &[] });
        let error = none.unwrap_err();
        assert!(error.to_string().starts_with("training batches of a step of"), "{text}: {error}");
    }
    let small = || Loader::builder(shapes(10)).batch_size(5).build().unwrap();
    let built = |text: &str| Trainer::builder(small()).protocol(config(text).build().unwrap()).build();
    let error = built(ROWS[1]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "training batches of an epoch: expected at least 3, as the protocol takes, found 2"
    );
    assert!(built(ROWS[0]).is_ok());
}

#[test]
fn the_upper_level_is_given_where_it_is_used_and_only_there() {
    for text in ROWS {
        let protocol = || config(text).build().unwrap();
        let judged = protocol().needs().upper > 0;
        let without = trainer(1, 1).protocol(protocol()).build();
        let with = trainer(1, 1).protocol(protocol()).upper(upper()).build();
        assert_eq!((without.is_ok(), with.is_ok()), (!judged, judged), "{text}");
        let error = if judged { without.err() } else { with.err() }.unwrap();
        assert!(error.to_string().starts_with("samples of the upper level"), "{error}");
    }
}

#[test]
fn parts_of_a_step_that_a_protocol_would_ignore_are_refused() {
    let given = batches(&Loader::builder(shapes(60)).batch_size(6).build().unwrap(), 5);
    let judges = batches(&upper(), 1);
    let scalarizer = |text: &str| serde_json::from_str::<ScalarizerConfig>(text).unwrap().build();
    let aggregator = serde_json::from_str::<AggregatorConfig>(r#"{"name": "mgda"}"#).unwrap();
    let weights = Named::new([("class", 1.0), ("mask", 1.0)]).unwrap();
    for text in &ROWS[1..] {
        let builders: [(&str, Box<dyn Fn() -> Step>); 7] = [
            ("aggregator", Box::new(|| builder().aggregator(aggregator.build().unwrap()).build().unwrap())),
            ("scalarizer", Box::new(|| builder().scalarizer(scalarizer(r#"{"name": "mean"}"#)).build().unwrap())),
            ("scalarizer", Box::new(|| builder().scalarizer(scalarizer(r#"{"name": "dwa"}"#)).build().unwrap())),
            ("scalarizer", Box::new(|| builder().scalarizer(scalarizer(r#"{"name": "uncertainty"}"#)).build().unwrap())),
            ("scalarizer", Box::new(|| builder().scalarizer(scalarizer(r#"{"name": "famo"}"#)).build().unwrap())),
            ("schedule", Box::new(|| builder().schedule(Schedule::Alternating { period: 1 }).build().unwrap())),
            ("sampling", Box::new(|| builder().sampling(Sampling::One { weights: weights.clone() }).build().unwrap())),
        ];
        for (part, build) in builders {
            let mut protocol = config(text).build().unwrap();
            let Needs { train, upper, .. } = protocol.needs();
            let given = Batches { train: &given[..train], upper: &judges[..upper] };
            let error = protocol.step(&mut build(), &given).unwrap_err();
            assert!(error.to_string().starts_with(part), "{text}: {error} for {part}");
        }
    }
}

fn builder() -> taskweave_cotrain::StepBuilder {
    use taskweave_heads::{HeadConfig, NetworkConfig};
    use taskweave_loss::criterion::CrossEntropy;
    let params = Params::new(&Rng::new(0), candle_core::DType::F32, &candle_core::Device::Cpu);
    let heads =
        [("class", HeadConfig::Classification { classes: 10 }), ("mask", HeadConfig::Dense { classes: 2 })];
    let backbone = CnnConfig::new(3, &[4, 6]);
    let config = NetworkConfig { view: "image".into(), backbone, heads: Named::new(heads).unwrap() };
    Step::builder(config.build(&params).unwrap(), params)
        .criterion("class", CrossEntropy::default())
        .criterion("mask", CrossEntropy::default())
}

#[test]
fn a_checkpoint_of_another_protocol_or_other_samples_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |text: &str, judges: Loader| {
        let protocol = config(text).build().unwrap();
        let trainer = trainer(1, 1).protocol(protocol).upper(judges).checkpoints(Checkpoints::new(folder.path()));
        trainer.build().unwrap().fit(&mut step(0).0).map(drop)
    };
    fit(ROWS[8], upper()).unwrap();
    assert!(matches!(fit(ROWS[7], upper()), Err(Error::State { .. })));
    let other = Loader::builder(shapes(30)).batch_size(6).build().unwrap();
    assert!(matches!(fit(ROWS[8], other), Err(Error::State { .. })));
    fit(ROWS[8], upper()).unwrap();
}

#[test]
fn state_of_other_tasks_is_refused() {
    let others = serde_json::json!([["x", 0.5], ["y", 0.5]]);
    let mut protocol = config(ROWS[1]).build().unwrap();
    protocol.restore(&taskweave_kernels::State { values: others, tensors: Named::default() }).unwrap();
    let own = batches(&Loader::builder(shapes(60)).batch_size(6).build().unwrap(), 3);
    let error = protocol.step(&mut step(0).0, &Batches { train: &own, upper: &[] }).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
}

#[test]
fn configurations_survive_a_file_and_bad_ones_are_refused() {
    for text in ROWS {
        let config = config(text);
        assert_eq!(serde_json::from_str::<ProtocolConfig>(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }
    assert_eq!(ProtocolConfig::default(), config(r#"{"name": "plain"}"#));
    assert_eq!(config(ROWS[1]).build().unwrap().needs(), Needs { train: 3, upper: 0, last: Last::Drop });
    for text in [
        r#"{"name": "plain", "batches": 0}"#,
        r#"{"name": "modo", "gamma": -1}"#,
        r#"{"name": "sdmgrad", "pairs": 0}"#,
        r#"{"name": "auto_lambda", "epsilon": 0}"#,
        r#"{"name": "moml", "steps": 0}"#,
        r#"{"name": "forum", "beta": 2}"#,
    ] {
        assert!(matches!(config(text).build(), Err(Error::Parameter { .. })), "{text}");
    }
    assert!(serde_json::from_str::<ProtocolConfig>(r#"{"name": "moml", "step": 1}"#).is_err());
}

/// Tells its standard output how far it is.
struct Tell;

impl Callback for Tell {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        println!("step {}", report.step);
        Ok(())
    }
}

/// The row that is killed: a look-ahead, an upper level, and weights of its own.
const KILLED: &str = ROWS[7];

fn killable(folder: &Path) -> Params {
    let (mut step, params) = step(0);
    let trainer =
        training(KILLED, 1).checkpoints(Checkpoints::new(folder)).checkpoint_every(3).callback(Tell);
    trainer.build().unwrap().fit(&mut step).unwrap();
    params
}

const CHILD: &str = "TASKWEAVE_TEST_KILLABLE_PROTOCOL";

/// The process that gets killed; does nothing where it is run as a test of its own.
#[test]
fn killable_child() {
    if let Ok(folder) = std::env::var(CHILD) {
        killable(Path::new(&folder));
        println!("done");
    }
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut rng = Rng::new(std::process::id().into());
    let mut kills = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killable_child", "--nocapture", "--test-threads=1"])
            .env(CHILD, &run)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // At least three steps, so that every round gets further than the last checkpoint.
        let limit = 4 + rng.below(4);
        let told = lines.by_ref().map_while(|l| l.ok()).filter(|l| l.starts_with("step") || l == "done");
        let last = told.take(limit).last();
        if last.as_deref() == Some("done") {
            child.wait().unwrap();
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 40, "the run does not get further");
    }
    assert!(kills > 1);
    assert!(bits(&killable(&run)) == whole(KILLED, 0, 1).0, "{kills} kills");
}
