//! Two losses with a front that bends the wrong way, for sums of losses to fail on.
//!
//! With θ in ℝⁿ and t = (1, …, 1)/√n,
//!     L₁ = 1 − exp(−‖θ − t‖²),   L₂ = 1 − exp(−‖θ + t‖²).
//! The best trade-offs are θ = s·t with −1 ≤ s ≤ 1. The front is concave: a weighted sum of the losses is lowest at its ends.
//! Reference: Fonseca and Fleming, "Multiobjective Optimization and Multiple Constraint Handling", IEEE Transactions on
//! Systems, Man, and Cybernetics 1998; with neural networks in Lin et al., "Pareto Multi-Task Learning", NeurIPS 2019.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::Init;
use taskweave::cotrain::pareto::Front;
use taskweave::data::{Labels, Loader, Memory};
use taskweave::loss::pareto::hypervolume;
use taskweave::prelude::*;

pub const TASKS: [&str; 2] = ["first", "second"];
/// n
const SIZE: usize = 20;

/// Where θ comes from.
pub enum Hills {
    /// It is trained itself.
    Free(Tensor),
    /// A network makes it of the preference.
    Made(candle_nn::Linear, candle_nn::Linear),
}

impl Hills {
    pub fn free(params: &Params) -> Result<Self> {
        Ok(Self::Free(params.shared().get_with_hints(
            (1, SIZE),
            "theta",
            Init::Uniform { lo: -0.3, up: 0.3 },
        )?))
    }

    pub fn made(params: &Params) -> Result<Self> {
        let vb = params.shared();
        Ok(Self::Made(candle_nn::linear(2, 32, vb.pp("in"))?, candle_nn::linear(32, SIZE, vb.pp("out"))?))
    }
}

impl Model for Hills {
    fn tasks(&self) -> Vec<String> {
        TASKS.map(String::from).into()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        let theta = match self {
            Self::Free(theta) => theta.broadcast_as((inputs.require("view", "x")?.dim(0)?, SIZE))?,
            Self::Made(first, second) => {
                let seen = first.forward(inputs.require("view", "preference")?, mode)?;
                second.forward(&seen.tanh()?, mode)?
            }
        };
        Named::new(TASKS.map(|task| (task, theta.clone())))
    }

    fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
        Ok(features.clone())
    }
}

/// 1 − exp(−‖θ − t‖²).
pub struct Hill;

impl Criterion for Hill {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        let square = (prediction - target.value())?.sqr()?.sum(1)?;
        Ok(square.neg()?.exp()?.affine(-1.0, 1.0)?)
    }
}

/// So many steps of one sample: nothing but θ matters.
pub fn loader(steps: usize) -> Result<Loader> {
    let target = |sign: f64| -> Result<(Labels, Target)> {
        let value = Tensor::full(sign / (SIZE as f64).sqrt(), (steps, SIZE), &Device::Cpu)?;
        Ok((Labels::Value(vec![SIZE]), Target::new(value)?))
    };
    let x = Tensor::zeros((steps, 1), DType::F64, &Device::Cpu)?;
    let targets = Named::new([(TASKS[0], target(1.0)?), (TASKS[1], target(-1.0)?)])?;
    Loader::builder(Arc::new(Memory::new(Named::new([("x", x)])?, targets)?)).batch_size(1).workers(0).build()
}

/// The best trade-offs, from one end to the other.
pub fn front(points: usize) -> Vec<(f64, f64)> {
    let at = |i: usize| 2.0 * i as f64 / (points - 1) as f64 - 1.0;
    let loss = |distance: f64| 1.0 - (-distance * distance).exp();
    (0..points).map(at).map(|s| (loss(1.0 - s), loss(1.0 + s))).collect()
}

/// The hypervolumes of fronts, and what part of that of the known front they are, in percent.
pub fn shares(fronts: &[Front]) -> Result<(Vec<f64>, Vec<f64>)> {
    let curve: Vec<[f64; 2]> = front(2000).into_iter().map(|(a, b)| [a, b]).collect();
    let (reference, whole) = (Named::new(TASKS.map(|task| (task, 1.0)))?, hypervolume(&curve, &[1.0, 1.0])?);
    let found = fronts.iter().map(|front| front.hypervolume(&reference)).collect::<Result<Vec<f64>>>()?;
    Ok((found.clone(), found.iter().map(|volume| 100.0 * volume / whole).collect()))
}
