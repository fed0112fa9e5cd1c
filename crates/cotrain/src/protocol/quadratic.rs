//! Two regressions on one shared vector, and the same in plain numbers: everything about it can be worked out by hand.

use candle_core::{DType, Device, Tensor};
use candle_nn::Init;
use taskweave_data::Batch;
use taskweave_heads::{Mode, Model, Params};
use taskweave_kernels::optim::{OptimizerConfig, Sgd};
use taskweave_kernels::{Named, Result, Rng, Target};
use taskweave_loss::criterion::Mse;

use crate::Step;

pub(super) const TASKS: [&str; 2] = ["a", "b"];

/// The shared vector, then the bias of each task.
pub(super) type Point = [f64; 5];

/// Predicts x·θ + bᵢ.
struct Line {
    theta: Tensor,
    biases: Named<Tensor>,
}

impl Model for Line {
    fn tasks(&self) -> Vec<String> {
        self.biases.names().map(String::from).collect()
    }

    fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        let y = inputs.require("view", "x")?.matmul(&self.theta)?;
        Ok(self.biases.map(|_, _| y.clone()))
    }

    fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        features.try_map(|task, y| Ok(y.broadcast_add(self.biases.require("task", task)?)?))
    }
}

/// A step of plain gradient descent.
pub(super) fn step(lr: f64) -> (Step, Params) {
    let params = Params::new(&Rng::new(1), DType::F64, &Device::Cpu);
    let init = Init::Randn { mean: 0.0, stdev: 1.0 };
    let theta = params.shared().get_with_hints((3, 1), "theta", init).unwrap();
    let bias = |task: &str| params.task(task).get_with_hints(1, "bias", Init::Const(0.2)).unwrap();
    let biases = Named::new(TASKS.map(|task| (task, bias(task)))).unwrap();
    let step = Step::builder(Line { theta, biases }, params.clone())
        .criterion("a", Mse)
        .criterion("b", Mse)
        .optimizer(OptimizerConfig::Sgd(Sgd { lr, ..Sgd::default() }))
        .build()
        .unwrap();
    (step, params)
}

pub(super) fn point(params: &Params) -> Point {
    let values =
        |param: &taskweave_kernels::Param| param.var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    params.named().values().flat_map(values).collect::<Vec<_>>().try_into().unwrap()
}

/// Samples in plain numbers: inputs, then the label of each task.
#[derive(Clone)]
pub(super) struct Samples(pub(super) Vec<([f64; 3], [f64; 2])>);

pub(super) fn samples(seed: u64, size: usize) -> Samples {
    let mut rng = Rng::new(seed);
    let mut draw = || rng.normal();
    Samples((0..size).map(|_| ([draw(), draw(), draw()], [draw(), 0.5 + draw()])).collect())
}

impl Samples {
    pub(super) fn batch(&self) -> Batch {
        let column = |task: usize| {
            let values: Vec<f64> = self.0.iter().map(|(_, y)| y[task]).collect();
            Target::new(Tensor::from_vec(values, (self.0.len(), 1), &Device::Cpu).unwrap()).unwrap()
        };
        let x: Vec<f64> = self.0.iter().flat_map(|(x, _)| *x).collect();
        let x = Tensor::from_vec(x, (self.0.len(), 3), &Device::Cpu).unwrap();
        Batch {
            inputs: Named::new([("x", x)]).unwrap(),
            targets: Named::new([("a", column(0)), ("b", column(1))]).unwrap(),
            indices: (0..self.0.len()).collect(),
        }
    }

    pub(super) fn loss(&self, task: usize, at: &Point) -> f64 {
        self.errors(task, at).map(|error| error * error).sum::<f64>() / self.0.len() as f64
    }

    pub(super) fn gradient(&self, task: usize, at: &Point) -> Point {
        let mut gradient = [0.0; 5];
        for ((x, _), error) in self.0.iter().zip(self.errors(task, at)) {
            let share = 2.0 * error / self.0.len() as f64;
            (0..3).for_each(|i| gradient[i] += share * x[i]);
            gradient[3 + task] += share;
        }
        gradient
    }

    /// Where steps of gradient descent of the weighted sum lead.
    pub(super) fn descended(&self, from: &Point, weights: [f64; 2], rate: f64, steps: usize) -> Point {
        let mut at = *from;
        for _ in 0..steps {
            let gradients = [self.gradient(0, &at), self.gradient(1, &at)];
            for (i, value) in at.iter_mut().enumerate() {
                *value -= rate * (weights[0] * gradients[0][i] + weights[1] * gradients[1][i]);
            }
        }
        at
    }

    fn errors(&self, task: usize, at: &Point) -> impl Iterator<Item = f64> {
        self.0.iter().map(move |(x, y)| x[0] * at[0] + x[1] * at[1] + x[2] * at[2] + at[3 + task] - y[task])
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
    }
}

/// The slopes of a function by central differences, exact for quadratic ones.
pub(super) fn differences(f: impl Fn([f64; 2]) -> f64, at: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|i| {
        let moved = |by: f64| {
            let mut at = at;
            at[i] += by;
            f(at)
        };
        (moved(1e-3) - moved(-1e-3)) / 2e-3
    })
}

pub(super) fn weights(values: [f64; 2]) -> Named<f64> {
    Named::new(TASKS.into_iter().zip(values)).unwrap()
}
