//! Small networks in f64 that learn three clouds of points, few of them labeled.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::teaching::{TeachingConfig, Teachings};
use taskweave_cotrain::{Ensemble, Step, Term, Trainer, TrainerBuilder};
use taskweave_data::{Compose, Labels, Loader, Memory, Order, Sample, SelectTasks, Transform, Views};
use taskweave_heads::{Classification, HardSharing, MlpConfig, Model, Network, Params, Stage};
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Named, Result, Rng, Target};

/// Adds a little noise to every input.
pub struct Shake(pub f64);

impl Transform for Shake {
    fn apply(&self, mut sample: Sample, rng: &mut Rng) -> Result<Sample> {
        for input in sample.inputs.values_mut() {
            let noise: Vec<f64> = (0..input.elem_count()).map(|_| self.0 * rng.normal()).collect();
            *input = (&*input + Tensor::from_vec(noise, input.shape(), input.device())?)?;
        }
        Ok(sample)
    }
}

/// Points around the corners of a triangle.
pub fn clouds(len: usize) -> Arc<Memory> {
    let mut rng = Rng::new(11);
    let corners = [[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]];
    let labels: Vec<u32> = (0..len as u32).map(|i| i % 3).collect();
    let x: Vec<f64> =
        labels.iter().flat_map(|label| corners[*label as usize]).map(|v| v + 0.4 * rng.normal()).collect();
    let x = Tensor::from_vec(x, (len, 2), &Device::Cpu).unwrap();
    // Every fifth label is missing.
    let weights: Vec<f64> = (0..len).map(|i| if i % 5 == 4 { 0.0 } else { 1.0 }).collect();
    let weights = Tensor::from_vec(weights, len, &Device::Cpu).unwrap();
    let target = Target::weighted(Tensor::from_vec(labels, len, &Device::Cpu).unwrap(), weights).unwrap();
    let names = Labels::Class(["a", "b", "c"].map(String::from).to_vec());
    let targets = Named::new([("class", (names, target))]).unwrap();
    Arc::new(Memory::new(Named::new([("x", x)]).unwrap(), targets).unwrap())
}

pub fn network(params: &Params, name: &str) -> Box<dyn Model> {
    let own = params.member(name);
    let own = if name == "mean" { own.frozen() } else { own };
    let trunk = MlpConfig { inputs: 2, widths: vec![6], dropout: 0.3 }.build(&own.shared()).unwrap();
    let head = Classification::new(&own.task("class"), trunk.features(), 3).unwrap();
    let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)]).unwrap();
    Box::new(Network::new(Box::new(HardSharing::new("x", trunk)), heads))
}

/// The networks that the terms name, in their order.
pub fn ensemble(seed: u64, terms: Named<Term>) -> Ensemble {
    let params = Params::new(&Rng::new(seed), DType::F64, &Device::Cpu);
    let mut members: Named<Box<dyn Model>> = Named::default();
    for name in terms.values().flat_map(|term| term.members.clone()) {
        if !members.contains(&name) {
            members.insert(name.clone(), network(&params, &name)).unwrap();
        }
    }
    Ensemble::new(&params, members, terms).unwrap()
}

pub fn step(ensemble: &Ensemble) -> Step {
    let rule = OptimizerConfig::Sgd(Sgd { lr: 0.1, momentum: 0.9, ..Sgd::default() });
    ensemble.step().optimizer(rule).rng(&Rng::new(5)).build().unwrap()
}

/// Four steps per epoch; beside each batch of 6 one of 10, as views `weak` and `strong`.
pub fn trainer(ensemble: &Ensemble, methods: Vec<TeachingConfig>, epochs: u64) -> TrainerBuilder {
    let train = Loader::builder(clouds(24))
        .batch_size(6)
        .order(Order::Shuffled)
        .transform(ensemble.spread())
        .rng(Rng::new(1))
        .build()
        .unwrap();
    let teachings = methods
        .into_iter()
        .fold(Teachings::new(ensemble), |teachings, method| teachings.teach(method.build()).unwrap());
    Trainer::builder(train).epochs(epochs).teachings(teachings.beside(unlabeled()))
}

pub fn unlabeled() -> Loader {
    let weak: Box<dyn Transform> = Box::new(Compose::default());
    let strong: Box<dyn Transform> = Box::new(Shake(0.3));
    let views = Views::new("x", Named::new([("weak", weak), ("strong", strong)]).unwrap()).unwrap();
    Loader::builder(Arc::new(SelectTasks::new(clouds(40), &[]).unwrap()))
        .batch_size(10)
        .order(Order::Shuffled)
        .transform(views)
        .rng(Rng::new(2))
        .build()
        .unwrap()
}

/// Trains a method from a seed, and gives the ensemble.
pub fn trained(method: &str, epochs: u64) -> Ensemble {
    let method = method_of(method);
    let ensemble = ensemble(3, method.clone().build().terms().unwrap());
    let mut step = step(&ensemble);
    trainer(&ensemble, vec![method], epochs).build().unwrap().fit(&mut step).unwrap();
    ensemble
}

pub fn method_of(text: &str) -> TeachingConfig {
    let common = r#""task": "class", "criterion": {"name": "cross_entropy"}, "#;
    let start = text.find("\"name\"").unwrap();
    let text = match text.contains("rotation") {
        true => text.to_string(),
        false => format!("{}{common}{}", &text[..start], &text[start..]),
    };
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The bits of a network's parameters, or of all.
pub fn bits(ensemble: &Ensemble, member: Option<&str>) -> Vec<u64> {
    let params = ensemble.params();
    let params = member.map_or_else(|| params.clone(), |member| params.member(member));
    let values = params.tensors();
    values
        .values()
        .flat_map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap())
        .map(f64::to_bits)
        .collect()
}
