//! What is refused, by name: missing batches, parts that would be ignored, state and configurations that do not fit.

use taskweave_cotrain::protocol::{Batches, Needs, ProtocolConfig};
use taskweave_cotrain::{Balance, Checkpoints, Sampling, Schedule, Step, StepBuilder, Trainer};
use taskweave_data::{Last, Loader};
use taskweave_heads::{CnnConfig, HeadConfig, NetworkConfig, Params};
use taskweave_kernels::{Error, Named, Rng, State};
use taskweave_loss::criterion::CrossEntropy;
use taskweave_loss::{AggregatorConfig, ScalarizerConfig};

use crate::fixture::{shapes, trainer};
use crate::{ROWS, batches, config, step, upper};

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

type Build<'a> = Box<dyn Fn() -> StepBuilder + 'a>;

#[test]
fn parts_of_a_step_that_a_protocol_would_ignore_are_refused() {
    let given = batches(&Loader::builder(shapes(60)).batch_size(6).build().unwrap(), 5);
    let judges = batches(&upper(), 1);
    let scalarizer = |text: &str| serde_json::from_str::<ScalarizerConfig>(text).unwrap().build();
    let aggregator = serde_json::from_str::<AggregatorConfig>(r#"{"name": "mgda"}"#).unwrap();
    let weights = Named::new([("class", 1.0), ("mask", 1.0)]).unwrap();
    let losses = |text: &str| builder().balance(Balance::losses(scalarizer(text)));
    for text in &ROWS[1..] {
        let builders: [(&str, Build<'_>); 7] = [
            ("balance", Box::new(|| builder().balance(Balance::parameters(aggregator.build().unwrap())))),
            ("scalarizer", Box::new(|| losses(r#"{"name": "mean"}"#))),
            ("scalarizer", Box::new(|| losses(r#"{"name": "dwa"}"#))),
            ("scalarizer", Box::new(|| losses(r#"{"name": "uncertainty"}"#))),
            ("scalarizer", Box::new(|| losses(r#"{"name": "famo"}"#))),
            ("schedule", Box::new(|| builder().schedule(Schedule::Alternating { period: 2 }))),
            ("sampling", Box::new(|| builder().sampling(Sampling::One { weights: weights.clone() }))),
        ];
        for (part, build) in builders {
            let mut protocol = config(text).build().unwrap();
            let Needs { train, upper, .. } = protocol.needs();
            let given = Batches { train: &given[..train], upper: &judges[..upper] };
            let error = protocol.step(&mut build().build().unwrap(), &given).unwrap_err();
            assert!(error.to_string().starts_with(part), "{text}: {error} for {part}");
        }
    }
}

fn builder() -> StepBuilder {
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
        let trainer =
            trainer(1, 1).protocol(protocol).upper(judges).checkpoints(Checkpoints::new(folder.path()));
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
    protocol.restore(&State { values: others, tensors: Named::default() }).unwrap();
    let own = batches(&Loader::builder(shapes(60)).batch_size(6).build().unwrap(), 3);
    let error = protocol.step(&mut step(0).0, &Batches { train: &own, upper: &[] }).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
}

#[test]
fn configurations_survive_a_file_and_bad_ones_are_refused() {
    for text in ROWS {
        let config = config(text);
        assert_eq!(
            serde_json::from_str::<ProtocolConfig>(&serde_json::to_string(&config).unwrap()).unwrap(),
            config
        );
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
