//! One training of the comparison.

use candle_core::{DType, Device, Tensor};
use taskweave::cotrain::rate::{OneCycle, RateConfig};
use taskweave::cotrain::{Checkpoints, Cosines, Training, Unit};
use taskweave::heads::{BatchNorm, Classification, Conv, Linear, MaxPool};
use taskweave::kernels::ops::Activation;
use taskweave::loss::metric::Classification as Accuracy;
use taskweave::prelude::*;

use super::{JobConfig, Method, Samples};
use crate::image_job::source::select;

/// Height and width of a pair of digits.
const SIDE: usize = 36;

/// The training of a method under a seed; with checkpoints it resumes where an earlier one was.
pub fn training(
    job: &JobConfig,
    method: &Method,
    samples: &Samples,
    (checkpoints, seed): (Option<Checkpoints>, u64),
) -> Result<Training> {
    let rng = Rng::new(seed);
    let params = Params::new(&rng, DType::F32, &Device::Cpu);
    let rule = AdamW { lr: job.rate, weight_decay: job.weight_decay, ..AdamW::default() };
    let mut step = Step::builder(network(job, method, &params)?, params)
        .optimizer(OptimizerConfig::AdamW(rule))
        .rng(&rng);
    for task in &method.tasks {
        step = step.criterion(task, CrossEntropy::default());
    }
    step = step.balance(method.way.balance()?);
    let train = Loader::builder(select(&samples.train, &method.tasks)?)
        .batch_size(job.batch_size)
        .order(Order::Shuffled)
        .rng(rng.fork("loader"))
        .build()?;
    let judge = |dataset| Loader::builder(select(dataset, &method.tasks)?).batch_size(250).build();
    let rate = RateConfig::OneCycle(OneCycle::new(job.rate, job.epochs * train.batches() as u64)?);
    let mut trainer = Trainer::builder(train)
        .epochs(job.epochs)
        .valid(judge(&samples.valid)?, metrics(method)?)
        .rate(rate.build()?, Unit::Step)
        .cosines(if method.tasks.len() > 1 { Cosines::PerEpoch } else { Cosines::Off })
        .callback(Progress::new(&format!("{}, seed {seed}", method.name)));
    if let Some(checkpoints) = checkpoints {
        trainer = trainer.checkpoints(checkpoints);
    }
    Ok(Training {
        step: step.build()?,
        trainer: trainer.build()?,
        test: judge(&samples.test)?,
        metrics: metrics(method)?,
    })
}

/// Two convolutions, each with pooling, and a linear layer, shared by a linear head per task. A single task has the same network.
fn network(job: &JobConfig, method: &Method, params: &Params) -> Result<Network> {
    let vb = params.shared();
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    let (mut channels, mut side) = (1, SIDE);
    for (i, &width) in job.widths.iter().enumerate() {
        stages.push(Box::new(Conv::new(&vb.pp(format!("{i}.conv")), [channels, width], 3)?));
        stages.push(Box::new(BatchNorm::new(&vb.pp(format!("{i}.norm")), width)?.then(Activation::Relu)));
        stages.push(Box::new(MaxPool));
        (channels, side) = (width, side / 2);
    }
    stages.push(Box::new(|x: &Tensor| x.flatten_from(1)));
    stages.push(Box::new(
        Linear::new(&vb.pp("out"), channels * side * side, job.hidden)?.then(Activation::Relu),
    ));
    let features = Features::Vector { width: job.hidden };
    let head = |task: &&'static str| -> Result<(String, Box<dyn Stage>)> {
        Ok((task.to_string(), Box::new(Classification::new(&params.task(task), features, 10)?)))
    };
    let heads = Named::new(method.tasks.iter().map(head).collect::<Result<Vec<_>>>()?)?;
    Ok(Network::new(Box::new(HardSharing::new("image", Backbone::new(stages, features))), heads))
}

fn metrics(method: &Method) -> Result<Named<Box<dyn Metric>>> {
    let accuracy = |task: &&'static str| -> Result<(String, Box<dyn Metric>)> {
        Ok((task.to_string(), Box::new(Accuracy::new(10)?)))
    };
    Named::new(method.tasks.iter().map(accuracy).collect::<Result<Vec<_>>>()?)
}
