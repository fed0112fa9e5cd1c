//! Networks of two tasks as learners.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::Step;
use taskweave_cotrain::cotraining::Team;
use taskweave_cotrain::learner::{Answers, TaskLearner};
use taskweave_cotrain::rate::{Cosine, RateConfig};
use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
use taskweave_kernels::optim::{Adam, OptimizerConfig};
use taskweave_kernels::{Named, Rng, Stateful, Target};
use taskweave_loss::criterion::{Mse, SoftCrossEntropy};

use crate::problem::N;

/// A network with dropout, Adam and a schedule, of the task `own` that is taught and a task `other` whose labels every third sample
/// has.
pub fn network(view: &str, answers: Answers) -> TaskLearner {
    let rng = Rng::new(1).fork(view);
    let params = Params::new(&rng, DType::F64, &Device::Cpu);
    let trunk = MlpConfig { inputs: 3, widths: vec![6], dropout: 0.1 }.build(&params.shared()).unwrap();
    let head = |task: &str, width| -> Box<dyn Stage> {
        Box::new(Regression::new(&params.task(task), trunk.features(), width).unwrap())
    };
    let heads = Named::new([("own", head("own", answers.width())), ("other", head("other", 1))]).unwrap();
    let step = Step::builder(Network::new(Box::new(HardSharing::new("x", trunk)), heads), params)
        .optimizer(OptimizerConfig::Adam(Adam { lr: 0.05, ..Adam::default() }))
        .criterion("other", Mse)
        .rng(&rng);
    let step = match answers {
        Answers::Classes(_) => step.criterion("own", SoftCrossEntropy),
        Answers::Value => step.criterion("own", Mse),
    };
    let learner = TaskLearner::new(step.build().unwrap(), ("x", "own"), answers).unwrap();
    let rate = RateConfig::Cosine(Cosine::new(300, 1e-3).unwrap()).build().unwrap();
    learner.epochs(2).unwrap().rate(rate).rng(&rng).also("other", others()).unwrap()
}

fn others() -> Target {
    let values: Vec<f64> = (0..N).map(|sample| (sample % 7) as f64 / 7.0).collect();
    let weights: Vec<f64> = (0..N).map(|sample| f64::from(u8::from(sample % 3 == 0))).collect();
    let values = Tensor::from_vec(values, (N, 1), &Device::Cpu).unwrap();
    Target::weighted(values, Tensor::new(weights, &Device::Cpu).unwrap()).unwrap()
}

/// The parameters of a task's head, of one learner.
pub fn head(team: &Team, learner: &str, task: &str) -> Vec<f64> {
    let state = team.save().unwrap();
    let prefix = format!("{learner}/model/task.{task}.");
    let own = state.tensors.iter().filter(|(name, _)| name.starts_with(&prefix));
    let values: Vec<f64> =
        own.flat_map(|(_, value)| value.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect();
    assert!(!values.is_empty(), "no parameters of `{learner}` begin with {prefix}");
    values
}
