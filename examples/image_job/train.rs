//! One training of a job.

use candle_core::{DType, Device};
use taskweave::cotrain::diagnostics::{GradientWatch, Layers, Period};
use taskweave::cotrain::rate::{OneCycle, RateConfig};
use taskweave::cotrain::{Cosines, Progress, Training, Unit};
use taskweave::data::TransformConfig;
use taskweave::loss::metric::{Classification, Segmentation};
use taskweave::loss::scalarizer::Constant;
use taskweave::prelude::*;

use super::source::select;
use super::{JobConfig, Method, Samples};

/// The training of a method under a seed; it resumes where an earlier one of the same run was.
pub fn training(
    config: &JobConfig,
    method: &Method,
    samples: &Samples,
    (run, seed): (&Run, u64),
) -> Result<Training> {
    let rng = Rng::new(seed);
    let params = Params::new(&rng, DType::F32, &Device::Cpu);
    let network = config.network(method, samples.size[0], samples.classes.len())?;
    let rule = AdamW { lr: config.rate, weight_decay: config.weight_decay, ..AdamW::default() };
    let mut step = Step::builder(network.build(&params)?, params)
        .balance(Balance::losses(Box::new(task_weights(config, method.tasks)?)))
        .optimizer(OptimizerConfig::AdamW(rule))
        .schedule(method.schedule.clone())
        .rng(&rng);
    for task in method.tasks {
        step = step.criterion(task, CrossEntropy::default());
    }
    let train = Loader::builder(select(&samples.train, method.tasks)?)
        .batch_size(config.batch_size)
        .order(Order::Shuffled)
        .transform(TransformConfig::Compose(config.augment.clone()).build()?)
        .rng(rng.fork("loader"))
        .build()?;
    let judge = |dataset| Loader::builder(select(dataset, method.tasks)?).batch_size(256).build();
    let steps = config.epochs * train.batches() as u64;
    let mut trainer = Trainer::builder(train)
        .epochs(config.epochs)
        .valid(judge(&samples.valid)?, metrics(method.tasks, samples.classes.len())?)
        .rate(RateConfig::OneCycle(OneCycle::new(config.rate, steps)?).build()?, Unit::Step)
        .cosines(if method.tasks.len() > 1 { Cosines::PerEpoch } else { Cosines::Off })
        .callback(Progress::new(&format!("{}, seed {seed}", method.name)))
        .checkpoints(run.checkpoints(&method.training(seed)));
    if method.tasks.len() > 1 {
        let path = run.path(&format!("gradients/{}.jsonl", method.training(seed)));
        trainer = trainer.callback(GradientWatch::new(path, Period::Steps(10))?.layers(Layers::Each));
    }
    let metrics = metrics(method.tasks, samples.classes.len())?;
    Ok(Training { step: step.build()?, trainer: trainer.build()?, test: judge(&samples.test)?, metrics })
}

/// The weights of the losses.
fn task_weights(config: &JobConfig, tasks: &[&str]) -> Result<Constant> {
    let weight = |task: &str| if task == "mask" && tasks.len() > 1 { config.mask_weight } else { 1.0 };
    Constant::new(Named::new(tasks.iter().map(|task| (*task, weight(task))))?)
}

fn metrics(tasks: &[&str], classes: usize) -> Result<Named<Box<dyn Metric>>> {
    let mut metrics: Named<Box<dyn Metric>> = Named::default();
    for task in tasks {
        match *task {
            "mask" => metrics.insert(*task, Box::new(Segmentation::new(2)?))?,
            _ => metrics.insert(*task, Box::new(Classification::new(classes)?))?,
        }
    }
    Ok(metrics)
}
