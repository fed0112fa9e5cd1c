//! Four tasks on one trunk, in f64, and any balance by its text.

use candle_core::{DType, Device, Tensor};
use serde::de::DeserializeOwned;
use taskweave_cotrain::{Balance, BalanceConfig, Step, StepBuilder};
use taskweave_data::Batch;
use taskweave_heads::{HardSharing, MlpConfig, Model, Network, Params, Regression, Stage};
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Named, Rng, Target};
use taskweave_loss::aggregator::BlockwiseConfig;
use taskweave_loss::criterion::Mse;
use taskweave_loss::{AggregatorConfig, ScalarizerConfig, WeightingConfig};

pub const TASKS: [&str; 4] = ["sum", "product", "first", "second"];

/// Parameters of those methods that cannot do without.
const GIVEN: [&str; 10] = [
    r#"{"name": "constant", "weights": [1.0, 2.0, 0.5, 0.25]}"#,
    r#"{"name": "stch", "mu": 0.5}"#,
    r#"{"name": "cosmos", "preference": [1.0, 2.0, 0.5, 0.25], "lambda": 1.0}"#,
    r#"{"name": "pbi", "preference": [1.0, 2.0, 0.5, 0.25], "theta": 0.5}"#,
    r#"{"name": "ema", "of": {"name": "mgda"}}"#,
    r#"{"name": "every", "steps": 2, "of": {"name": "norm_balance"}}"#,
    r#"{"name": "epo", "preference": [1.0, 2.0, 0.5, 0.25]}"#,
    r#"{"name": "ferero", "preference": [1.0, 2.0, 0.5, 0.25]}"#,
    r#"{"name": "per_group", "of": {"name": "norm_balance"}}"#,
    r#"{"name": "within", "blocks": "", "of": {"name": "norm_balance"}}"#,
];

/// Methods that remember every coordinate.
pub const MEMORY: [&str; 4] = ["moco", "db_mtl", "excess_mtl", "sam_gs"];

pub fn balance(text: &str) -> Balance {
    let config: BalanceConfig = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    config.build().unwrap()
}

pub fn of(gradients: &str, method: &str) -> Balance {
    balance(&format!(r#"{{"gradients": {{"of": "{gradients}", "method": {method}}}}}"#))
}

/// Every method of a family, as its own message about an unknown name lists them.
fn methods<T: DeserializeOwned>() -> Vec<String> {
    let error = serde_json::from_str::<T>(r#"{"name": "?"}"#).err().unwrap().to_string();
    let names: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    assert!(names.len() > 1, "{error}");
    let text = |name: &&str| {
        let known = GIVEN.iter().find(|text| text.contains(&format!(r#""name": "{name}","#)));
        known.map_or(format!(r#"{{"name": "{name}"}}"#), |text| text.to_string())
    };
    names.iter().map(text).collect()
}

pub fn scalarizers() -> Vec<String> {
    methods::<ScalarizerConfig>()
}

pub fn weightings() -> Vec<String> {
    methods::<WeightingConfig>()
}

/// Those that look at every coordinate.
pub fn coordinate_wise() -> Vec<String> {
    methods::<BlockwiseConfig>()
}

/// Everything that aggregates.
pub fn aggregators() -> Vec<String> {
    let all = [weightings(), coordinate_wise()].concat();
    for text in &all {
        let read = serde_json::from_str::<AggregatorConfig>(text);
        assert!(read.is_ok(), "give the parameters of {text}: {:?}", read.err());
    }
    all
}

/// Those that can aggregate the gradients of features, which are other samples' at every step.
pub fn without_memory() -> Vec<String> {
    aggregators().into_iter().filter(|text| !MEMORY.iter().any(|name| text.contains(name))).collect()
}

/// A step on a model of one's own.
pub fn on(model: impl Model + 'static, params: Params) -> StepBuilder {
    let tasks = model.tasks();
    let builder = Step::builder(model, params)
        .optimizer(OptimizerConfig::Sgd(Sgd { lr: 0.05, ..Sgd::default() }))
        .rng(&Rng::new(5));
    tasks.iter().fold(builder, |builder, task| builder.criterion(task, Mse))
}

pub fn params() -> Params {
    Params::new(&Rng::new(3), DType::F64, &Device::Cpu)
}

/// Four heads on a trunk of two layers.
pub fn builder() -> (StepBuilder, Params) {
    let params = params();
    let trunk = MlpConfig { inputs: 2, widths: vec![7, 6], dropout: 0.0 }.build(&params.shared()).unwrap();
    let head = |task: &str| Box::new(Regression::new(&params.task(task), trunk.features(), 1).unwrap());
    let heads = Named::new(TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    (on(model, params.clone()), params)
}

pub fn step(balance: Balance) -> (Step, Params) {
    let (builder, params) = builder();
    (builder.balance(balance).build().unwrap(), params)
}

pub fn batch(seed: u64, size: usize) -> Batch {
    let mut rng = Rng::new(seed);
    let x: Vec<[f64; 2]> = (0..size).map(|_| [rng.normal(), rng.normal()]).collect();
    let column = |f: fn(&[f64; 2]) -> f64| {
        let values: Vec<f64> = x.iter().map(f).collect();
        Target::new(Tensor::from_vec(values, (size, 1), &Device::Cpu).unwrap()).unwrap()
    };
    let targets = [
        ("sum", column(|x| x[0] + x[1])),
        ("product", column(|x| x[0] * x[1])),
        ("first", column(|x| 2.0 - x[0])),
        ("second", column(|x| x[1].abs())),
    ];
    let x = Tensor::from_vec(x.concat(), (size, 2), &Device::Cpu).unwrap();
    Batch {
        inputs: Named::new([("x", x)]).unwrap(),
        targets: Named::new(targets).unwrap(),
        indices: (0..size).collect(),
    }
}

/// Some of a batch's samples.
pub fn part(whole: &Batch, from: usize, len: usize) -> Batch {
    let cut = |x: &Tensor| x.narrow(0, from, len).unwrap();
    Batch {
        inputs: whole.inputs.map(|_, x| cut(x)),
        targets: whole.targets.map(|_, t| Target::weighted(cut(t.value()), cut(t.weight())).unwrap()),
        indices: whole.indices[from..from + len].to_vec(),
    }
}

/// The same batch with labels for some tasks.
pub fn with_tasks(batch: &Batch, tasks: &[&str]) -> Batch {
    let mut found = batch.clone();
    found.targets = Named::new(tasks.iter().map(|task| (*task, batch.targets[task].clone()))).unwrap();
    found
}

#[track_caller]
pub fn close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{name}: {a} instead of {b}");
    }
}
