//! What the schools share, and what each has of its own.
//!
//! The trunk says what is to be expected of a pupil, g(x): a linear map and a hidden layer. A school departs from it by a level
//! and by a slope in g, both by year: with c = (1, year₁, year₂, year₃),
//!     score = g(x) + u · (c, c g(x)),   eight weights u per school, zero at first and shrunk.

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use taskweave::heads::{Linear, Sharing};
use taskweave::kernels::ops::{Activation, linear_then};
use taskweave::prelude::*;

use super::pupils::{COLUMNS, YEARS};

/// Weights of a school.
const OWN: usize = 2 * (1 + YEARS);

/// The network of these schools.
pub fn build(params: &Params, schools: &[String], hidden: usize) -> Result<Network> {
    let vb = params.shared();
    let trunk = Trunk {
        direct: Linear::new(&vb.pp("direct"), COLUMNS, 1)?,
        hidden: Linear::new(&vb.pp("hidden"), COLUMNS, hidden)?.then(Activation::Relu),
        out: Linear::new(&vb.pp("out"), hidden, 1)?,
    };
    let head = |school: &String| -> Result<(String, Box<dyn Stage>)> {
        Ok((school.clone(), Box::new(Departure::new(&params.task(school))?)))
    };
    let heads = schools.iter().map(head).collect::<Result<Vec<_>>>()?;
    Ok(Network::new(Box::new(trunk), Named::new(heads)?))
}

/// From a pupil to (g, c, c g).
struct Trunk {
    direct: Linear,
    hidden: Linear,
    out: Linear,
}

impl Sharing for Trunk {
    fn share(&self, inputs: &Named<Tensor>, tasks: &[String], mode: Mode<'_>) -> Result<Named<Tensor>> {
        let (x, year) = (inputs.require("view", "pupil")?, inputs.require("view", "year")?);
        let deep = self.out.forward(&self.hidden.forward(x, mode)?, mode)?;
        let g = (self.direct.forward(x, mode)? + deep)?;
        let c = Tensor::cat(&[&year.narrow(1, 0, 1)?.ones_like()?, year], 1)?;
        let features = Tensor::cat(&[&g, &c, &c.broadcast_mul(&g)?], 1)?;
        Named::new(tasks.iter().map(|task| (task.clone(), features.clone())))
    }
}

/// How a school departs from what is to be expected.
struct Departure {
    weight: Tensor,
}

impl Departure {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints((1, OWN), "weight", Init::Const(0.0))? })
    }
}

impl Stage for Departure {
    fn forward(&self, features: &Tensor, _: Mode<'_>) -> Result<Tensor> {
        let own = features.narrow(1, 1, OWN)?.contiguous()?;
        let departure = linear_then(&own, [Some(&self.weight), None], Activation::Identity)?;
        Ok((features.narrow(1, 0, 1)? + departure)?)
    }
}
