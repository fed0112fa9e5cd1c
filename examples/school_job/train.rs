//! One training of the network.

use candle_core::{DType, Device};
use serde_json::Value;
use taskweave::cotrain::StepBuilder;
use taskweave::cotrain::rate::{OneCycle, Rate};
use taskweave::loss::AggregatorConfig;
use taskweave::loss::scalarizer::Constant;
use taskweave::prelude::*;

use super::pupils::{Parts, r2 as judged};
use super::{Job, Setting, network};

/// Schools whose pupils make one step.
const SCHOOLS: usize = 16;

/// Trains on the pupils to learn from, each step on all pupils of some schools, and gives R² on those to be judged by.
pub fn r2(job: &Job, setting: Setting, (parts, seed): (&Parts, u64)) -> Result<f64> {
    let rng = Rng::new(seed);
    let schools: Vec<String> =
        parts.learn.iter().flat_map(|batch| batch.targets.names()).map(String::from).collect();
    let mean = parts.learn.iter().map(Batch::len).sum::<usize>() as f64 / schools.len() as f64;
    let sizes = parts.learn.iter().map(|batch| batch.len() as f64 / mean);
    let sizes = Constant::new(Named::new(schools.iter().cloned().zip(sizes))?)?;
    let params = Params::new(&rng, DType::F32, &Device::Cpu);
    // The gradient of Σ (errors²) + shrinkage · |u|² over twice the mean number of pupils.
    let rule = Adam { lr: job.rate, weight_decay: 2.0 * setting.shrinkage / mean, ..Adam::default() };
    let step = Step::builder(network::build(&params, &schools, job.hidden)?, params)
        .optimizer(OptimizerConfig::Adam(rule))
        .rng(&rng);
    let step = schools.iter().fold(step, |step, school| step.criterion(school, Mse));
    let mut step = balanced(step, setting.balance, sizes)?.build()?;
    let per_epoch = schools.len().div_ceil(SCHOOLS) as u64;
    let rate = OneCycle::new(job.rate, job.epochs * per_epoch)?;
    for epoch in 0..job.epochs {
        let mut batches = parts.learn.clone();
        rng.fork("order").fork_at(epoch).shuffle(&mut batches);
        for some in batches.chunks(SCHOOLS) {
            step.set_rate(rate.rate(job.rate, step.done()))?;
            step.step_over(some)?;
        }
    }
    judged(&parts.judge, |_, batch| {
        let mut features = step.model().share(&batch.inputs, Mode::Eval)?;
        let name = batch.targets.names().next().unwrap_or_default();
        let own =
            features.remove(name).ok_or_else(|| Error::parameter("school", "one of the network", name))?;
        let mut found = step.model().heads(&Named::new([(name, own)])?, Mode::Eval)?;
        found.remove(name).ok_or_else(|| Error::parameter("school", "one of the network", name))
    })
}

/// The step with a scalarizer or an aggregator by its configuration; without one the losses are weighed by size.
fn balanced(step: StepBuilder, balance: &str, sizes: Constant) -> Result<StepBuilder> {
    if balance.is_empty() {
        return Ok(step.balance(Balance::losses(Box::new(sizes))));
    }
    let wrong = |e| Error::parameter(format!("balance `{balance}`"), "a method", e);
    let config: Value = serde_json::from_str(balance).map_err(wrong)?;
    match serde_json::from_value::<ScalarizerConfig>(config.clone()) {
        Ok(scalarizer) => Ok(step.balance(Balance::losses(scalarizer.build()))),
        Err(_) => {
            let method = serde_json::from_value::<AggregatorConfig>(config).map_err(wrong)?.build()?;
            Ok(step.balance(Balance::parameters(method).scalarizer(Box::new(sizes))))
        }
    }
}
