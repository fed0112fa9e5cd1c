//! A small network in f64, so that equalities are tight, and batches for it.

use candle_core::{DType, Device, Tensor};
use taskweave_cotrain::{Step, StepBuilder};
use taskweave_data::Batch;
use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Named, Owner, Rng, Target};
use taskweave_loss::criterion::Mse;

pub const TASKS: [&str; 2] = ["sum", "product"];

/// A small network in f64, so that equalities are tight.
pub fn builder(dropout: f64) -> (StepBuilder, Params) {
    let params = Params::new(&Rng::new(3), DType::F64, &Device::Cpu);
    let trunk = MlpConfig { inputs: 2, widths: vec![6], dropout }.build(&params.shared()).unwrap();
    let head = |task: &str| Box::new(Regression::new(&params.task(task), trunk.features(), 1).unwrap());
    let heads = Named::new(TASKS.map(|task| (task, head(task) as Box<dyn Stage>))).unwrap();
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let builder = Step::builder(model, params.clone())
        .criterion("sum", Mse)
        .criterion("product", Mse)
        .optimizer(OptimizerConfig::Sgd(Sgd { lr: 0.1, momentum: 0.9, ..Sgd::default() }))
        .rng(&Rng::new(5));
    (builder, params)
}

pub fn batch(seed: u64, size: usize) -> Batch {
    let mut rng = Rng::new(seed);
    let x: Vec<[f64; 2]> = (0..size).map(|_| [rng.normal(), rng.normal()]).collect();
    let column = |f: fn(&[f64; 2]) -> f64| {
        let values: Vec<f64> = x.iter().map(f).collect();
        Target::new(Tensor::from_vec(values, (size, 1), &Device::Cpu).unwrap()).unwrap()
    };
    let targets = [("sum", column(|x| x[0] + x[1])), ("product", column(|x| x[0] * x[1]))];
    let x = Tensor::from_vec(x.concat(), (size, 2), &Device::Cpu).unwrap();
    Batch {
        inputs: Named::new([("x", x)]).unwrap(),
        targets: Named::new(targets).unwrap(),
        indices: (0..size).collect(),
    }
}

pub fn values(params: &Params, owner: &Owner) -> Vec<f64> {
    let named = params.named();
    let own = named.values().filter(|param| &param.owner == owner);
    own.flat_map(|param| param.var.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
}

pub fn all_values(params: &Params) -> Vec<f64> {
    params.named().values().flat_map(|p| p.var.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
}

pub fn owners() -> [Owner; 3] {
    [Owner::Shared, Owner::Task("sum".into()), Owner::Task("product".into())]
}
