//! Two networks, each with a view of its own: what `co_training` and `cotrain_multitask` train.
#![allow(dead_code, unused_imports, reason = "each example uses its part")]

mod parts;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::{Teaching, TeachingConfig, Teachings};
use taskweave::cotrain::{Ensemble, History, Unit};
use taskweave::heads::Classification;
use taskweave::kernels::ops::softmax;
use taskweave::loss::metric::Classification as Accuracy;
use taskweave::prelude::*;

pub use parts::Parts;

/// How the networks of a pair learn from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    Supervised,
    /// Each imitates what the other says about every sample.
    Mutual,
    /// They agree on every sample.
    Deep,
}

/// Two networks with the same tasks, each with a view of its own.
#[derive(Debug, Clone)]
pub struct Pair {
    pub views: [String; 2],
    /// The classes of each task.
    pub tasks: Named<usize>,
    pub way: Way,
    /// Weight of what they learn from each other.
    pub lambda: f64,
    /// Values per sample that the heads of a network see.
    pub hidden: usize,
    pub dropout: f64,
    pub batch: usize,
    pub epochs: u64,
    pub rate: f64,
}

impl Pair {
    /// A pair with the parameters that validation samples of `cotrain_multitask` have chosen.
    pub fn new(views: [&str; 2], tasks: Named<usize>, way: Way) -> Self {
        let (views, lambda) = (views.map(String::from), 10.0);
        Self { views, tasks, way, lambda, hidden: 64, dropout: 0.0, batch: 250, epochs: 80, rate: 5e-3 }
    }

    /// Trains on samples that lack labels, each task by itself; the accuracy on `valid` is only recorded.
    pub fn train(
        &self,
        rng: &Rng,
        train: Arc<dyn Dataset>,
        valid: Option<Arc<dyn Dataset>>,
    ) -> Result<Trained> {
        let steps = self.epochs * train.len().div_ceil(self.batch) as u64;
        let methods = self.tasks.names().map(|task| self.method(task, steps)).collect::<Result<Vec<_>>>()?;
        let ensemble = self.ensemble(rng, &train, &methods)?;
        let mut step = ensemble
            .step()
            .optimizer(OptimizerConfig::Adam(Adam { lr: self.rate, ..Adam::default() }))
            .rng(rng)
            .build()?;
        let train = Loader::builder(train)
            .batch_size(self.batch)
            .order(Order::Shuffled)
            .transform(ensemble.spread())
            .rng(rng.fork("loader"))
            .build()?;
        let teachings = Teachings::new(&ensemble);
        let teachings = methods.into_iter().try_fold(teachings, Teachings::teach)?;
        let mut trainer = Trainer::builder(train)
            .epochs(self.epochs)
            .rate(RateConfig::Cosine(Cosine::new(steps, 0.0)?).build()?, Unit::Step)
            .teachings(teachings);
        if let Some(valid) = valid {
            let valid = Loader::builder(valid).batch_size(500).transform(ensemble.spread()).build()?;
            trainer = trainer.valid(valid, self.metrics()?);
        }
        let history = trainer.build()?.fit(&mut step)?;
        Ok(Trained { views: self.views.clone(), ensemble, history })
    }

    /// What is taught of one task. Views that differ by themselves need no adversarial examples to stay different.
    fn method(&self, task: &str, steps: u64) -> Result<Box<dyn Teaching>> {
        let ramp = json!({ "name": "gaussian", "steps": steps * 2 / 5 });
        let mut method = match self.way {
            Way::Supervised => json!({ "name": "supervised" }),
            Way::Mutual => json!({ "name": "mutual_learning", "lambda": self.lambda, "ramp": ramp }),
            Way::Deep => json!({
                "name": "deep_co_training", "lambda_cot": self.lambda, "lambda_dif": 0, "ramp": ramp,
                "view": self.views[0], "input": self.views[0],
            }),
        };
        (method["task"], method["members"]) = (json!(task), json!(self.views));
        method["criterion"] = json!({ "name": "cross_entropy" });
        let method: TeachingConfig =
            serde_json::from_value(method).map_err(|e| Error::parameter("method", "a method", e))?;
        Ok(method.build())
    }

    /// For each view a hidden layer, shared by a linear head per task.
    fn ensemble(&self, rng: &Rng, data: &dyn Dataset, methods: &[Box<dyn Teaching>]) -> Result<Ensemble> {
        let params = Params::new(rng, DType::F32, &Device::Cpu);
        let member = |view: &String| -> Result<(String, Box<dyn Model>)> {
            let own = params.member(view);
            let inputs = data.spec().inputs.require("view", view)?.iter().product();
            let trunk = MlpConfig { inputs, widths: vec![self.hidden], dropout: self.dropout };
            let trunk = trunk.build(&own.shared())?;
            let heads = self.tasks.try_map(|task, &classes| -> Result<Box<dyn Stage>> {
                Ok(Box::new(Classification::new(&own.task(task), trunk.features(), classes)?))
            })?;
            Ok((view.clone(), Box::new(Network::new(Box::new(HardSharing::new(view, trunk)), heads))))
        };
        let members = self.views.iter().map(member).collect::<Result<Vec<_>>>()?;
        let terms = methods.iter().map(|method| method.terms()).collect::<Result<Vec<_>>>()?;
        Ensemble::new(&params, Named::new(members)?, Named::new(terms.into_iter().flatten())?)
    }

    fn metrics(&self) -> Result<Named<Box<dyn Metric>>> {
        let mut metrics: Named<Box<dyn Metric>> = Named::default();
        for (task, &classes) in self.tasks.iter() {
            for view in &self.views {
                metrics.insert(format!("{task}@{view}"), Box::new(Accuracy::new(classes)?))?;
            }
        }
        Ok(metrics)
    }
}

/// A pair after its training.
pub struct Trained {
    views: [String; 2],
    ensemble: Ensemble,
    pub history: History,
}

impl Trained {
    /// The classes that both networks together hold for the most probable, by the mean of their probabilities.
    pub fn vote(&self, task: &str, inputs: &Named<Tensor>) -> Result<Vec<u32>> {
        let say = |view: &String| softmax(&self.ensemble.predict(view, task, &Named::default(), inputs)?);
        let [a, b] = &self.views;
        Ok((say(a)? + say(b)?)?.argmax(1)?.to_vec1()?)
    }

    /// The share of wrong votes over a data set, in percent.
    pub fn error(&self, task: &str, data: Arc<dyn Dataset>) -> Result<f64> {
        let (mut wrong, mut total) = (0, 0);
        for batch in Loader::builder(data).batch_size(500).build()?.epoch(0) {
            let batch = batch?;
            let labels = batch.targets.require("task", task)?.value().to_vec1::<u32>()?;
            let votes = self.vote(task, &batch.inputs)?;
            wrong += votes.iter().zip(&labels).filter(|(vote, label)| vote != label).count();
            total += labels.len();
        }
        Ok(100.0 * wrong as f64 / total.max(1) as f64)
    }
}
