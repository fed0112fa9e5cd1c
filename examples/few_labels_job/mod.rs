//! What is trained in the `few_labels` example: methods, the network, and what it sees.

mod gate;
pub mod inputs;
mod method;

use candle_core::Tensor;
use taskweave::data::{Compose, Transform};
use taskweave::heads::{Classification, Conv, MaxPool, Relu};
use taskweave::prelude::*;

use crate::digits::{Gated, Halve};

pub use gate::learned;
pub use method::{judged, method};

/// Labels of each class.
pub const PER_CLASS: usize = 4;

/// Sizes of a run.
pub struct Plan {
    pub unlabeled: usize,
    pub steps: u64,
    pub batch: usize,
    pub widths: [usize; 2],
    pub decay: f64,
    /// Whether images keep their size.
    pub full: bool,
}

impl Plan {
    pub fn size(&self) -> Box<dyn Transform> {
        if self.full { Box::new(Compose::default()) } else { Box::new(Halve) }
    }
}

/// One training.
pub struct Job {
    pub method: &'static str,
    pub gate: Gated,
    pub seed: u64,
}

/// Two convolutions and a linear layer. Labeled and unlabeled inputs are batches of different kinds, which batch
/// normalization would mix.
pub fn network(params: &Params, plan: &Plan) -> Result<Network> {
    let ([first, second], side) = (plan.widths, if plan.full { 28 } else { 14 });
    let vb = params.shared();
    let stages: Vec<Box<dyn Stage>> = vec![
        Box::new(Conv::new(&vb.pp("first"), [1, first], 3)?),
        Box::new(Relu),
        Box::new(MaxPool),
        Box::new(Conv::new(&vb.pp("second"), [first, second], 3)?),
        Box::new(Relu),
        Box::new(MaxPool),
        Box::new(|x: &Tensor| x.flatten_from(1)),
    ];
    let trunk = Backbone::new(stages, Features::Vector { width: second * (side / 4) * (side / 4) });
    let head = Classification::new(&params.task("class"), trunk.features(), 10)?;
    let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
    Ok(Network::new(Box::new(HardSharing::new("image", trunk)), heads))
}
