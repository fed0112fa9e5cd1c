//! What every protocol promises: one row per protocol.

#[allow(dead_code, reason = "each test uses its part")]
#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../killing/mod.rs"]
mod killing;

mod killed;
mod primitives;
mod promises;
mod refused;

use fixture::{bits, shapes, step_of, trainer};
use taskweave_cotrain::protocol::ProtocolConfig;
use taskweave_cotrain::{History, Schedule, Step, TrainerBuilder};
use taskweave_data::{Batch, Loader, Order};
use taskweave_heads::{CnnConfig, Params};
use taskweave_kernels::Rng;

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

fn batches(loader: &Loader, count: usize) -> Vec<Batch> {
    loader.epoch(0).take(count).map(|batch| batch.unwrap()).collect()
}
