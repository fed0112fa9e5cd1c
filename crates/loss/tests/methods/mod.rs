//! Every method of the crate, one row each, and what they are given.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Named, Rng};
use taskweave_loss::{Aggregator, AggregatorConfig, Jacobian, Scalarizer, ScalarizerConfig};

/// Weightings and aggregators: a new one is tested by a new row.
pub const AGGREGATORS: [&str; 34] = [
    r#"{"name": "mean"}"#,
    r#"{"name": "sum"}"#,
    r#"{"name": "constant", "weights": [1.0, 2.0, 0.5, 0.0]}"#,
    r#"{"name": "random", "seed": 3}"#,
    r#"{"name": "norm_balance"}"#,
    r#"{"name": "gradnorm", "lr": 0.1}"#,
    r#"{"name": "mgda", "normalize": "loss+"}"#,
    r#"{"name": "dualproj"}"#,
    r#"{"name": "upgrad"}"#,
    r#"{"name": "pcgrad", "seed": 2}"#,
    r#"{"name": "gradvac", "beta": 0.3, "seed": 2}"#,
    r#"{"name": "imtl_g"}"#,
    r#"{"name": "cagrad", "c": 0.4}"#,
    r#"{"name": "conic_grad", "c": 0.6}"#,
    r#"{"name": "nash_mtl"}"#,
    r#"{"name": "fairgrad", "alpha": 2.0}"#,
    r#"{"name": "aligned_mtl"}"#,
    r#"{"name": "config"}"#,
    r#"{"name": "krum"}"#,
    r#"{"name": "pcd", "tau": 0.1, "primary": "b"}"#,
    r#"{"name": "epo", "preference": [1.0, 2.0, 3.0, 1.0]}"#,
    r#"{"name": "ferero", "preference": [1.0, 2.0, 3.0, 1.0]}"#,
    r#"{"name": "ema", "beta": 0.7, "of": {"name": "gradvac", "seed": 1}}"#,
    r#"{"name": "every", "steps": 2, "of": {"name": "nash_mtl"}}"#,
    r#"{"name": "trimmed_mean", "trim": 1}"#,
    r#"{"name": "graddrop", "leak": 0.25, "seed": 4}"#,
    r#"{"name": "db_mtl"}"#,
    r#"{"name": "db_mtl", "beta": 0.0}"#,
    r#"{"name": "moco", "gamma": 0.01}"#,
    r#"{"name": "excess_mtl", "step_size": 0.5, "warm_up": 2}"#,
    r#"{"name": "sam_gs", "gamma": 0.97}"#,
    r#"{"name": "per_group", "of": {"name": "gradvac", "seed": 7}}"#,
    r#"{"name": "per_group", "of": {"name": "ema", "of": {"name": "random"}}, "groups": ["m", "v"]}"#,
    r#"{"name": "within", "blocks": "v", "of": {"name": "gradnorm"}}"#,
];

pub const SCALARIZERS: [&str; 16] = [
    r#"{"name": "sum"}"#,
    r#"{"name": "mean"}"#,
    r#"{"name": "constant", "weights": [["a", 0.5], ["b", 2.0]]}"#,
    r#"{"name": "log_loss"}"#,
    r#"{"name": "geometric_mean"}"#,
    r#"{"name": "uncertainty"}"#,
    r#"{"name": "uncertainty_softmax"}"#,
    r#"{"name": "imtl_l"}"#,
    r#"{"name": "dwa"}"#,
    r#"{"name": "random", "seed": 3}"#,
    r#"{"name": "stch", "mu": 0.3}"#,
    r#"{"name": "famo"}"#,
    r#"{"name": "cosmos", "lambda": 2.0, "preference": [0.5, 0.5]}"#,
    r#"{"name": "pbi", "theta": 5.0, "preference": [0.5, 0.5]}"#,
    r#"{"name": "go4align", "step_size": 0.1}"#,
    r#"{"name": "ldc"}"#,
];

pub fn aggregator(text: &str) -> Box<dyn Aggregator> {
    serde_json::from_str::<AggregatorConfig>(text).unwrap().build().unwrap()
}

pub fn scalarizer(text: &str) -> Box<dyn Scalarizer> {
    serde_json::from_str::<ScalarizerConfig>(text).unwrap().build()
}

pub const TASKS: [&str; 4] = ["a", "b", "c", "d"];

/// Gradients and losses of a step. Blocks with a tail beyond the pieces that are worked on in parallel.
pub fn jacobian(step: u64, tasks: &[&str], dtype: DType) -> Jacobian {
    let mut rng = Rng::new(step);
    let mut block = |shape: &[usize]| -> Gradient {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap().into()
    };
    let mut row = || Named::new([("m.weight", block(&[3, 1367])), ("v.weight", block(&[7]))]).unwrap();
    let rows = Named::new(tasks.iter().map(|task| (*task, row()))).unwrap();
    let losses = tasks.iter().enumerate().map(|(i, task)| (*task, 1.0 / (1.0 + (i as u64 + step) as f64)));
    Jacobian::new(rows).unwrap().with_losses(Named::new(losses).unwrap()).unwrap()
}
