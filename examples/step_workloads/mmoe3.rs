//! 2048 × (26 ids + 13 numbers) → embeddings → eight experts, three gates → three binary tasks.

use candle_core::Tensor;
use taskweave::heads::{Embedding, Linear, Mmoe, Sharing};
use taskweave::kernels::ops::{self, Activation};
use taskweave::prelude::*;

use super::{Draw, Objective, Workload};

const FIELDS: usize = 26;
const IDS: usize = 10_000;
const ROWS: usize = 2048;
const TASKS: [&str; 3] = ["click", "like", "buy"];

pub fn build(mut draw: Draw) -> Result<Workload> {
    let params = draw.params();
    let shared = params.shared();
    let sharing = Fields {
        embedding: Embedding::new(&shared.pp("ids"), FIELDS * IDS, 16)?,
        experts: Mmoe::new(&shared.pp("experts"), "x", &[FIELDS * 16 + 13, 256, 128], 8, &TASKS)?,
    };
    let (mut heads, mut tasks) = (Named::default(), Vec::new());
    for task in TASKS {
        let vb = params.task(task);
        let tower: [Box<dyn Stage>; 2] = [
            Box::new(Linear::new(&vb.pp(0), 128, 64)?.then(Activation::Relu)),
            Box::new(Linear::new(&vb.pp(1), 64, 1)?),
        ];
        heads.insert(task, Box::new(Tower(tower)) as Box<dyn Stage>)?;
        let labels = draw.below(2, &[ROWS, 1])?.to_dtype(candle_core::DType::F32)?;
        let objective: Objective = (Box::new(BceWithLogits::default()), Target::new(labels)?);
        tasks.push((task.to_string(), objective));
    }
    let offsets = Tensor::arange_step(0u32, (FIELDS * IDS) as u32, IDS as u32, &draw.device)?;
    let ids = draw.below(IDS, &[ROWS, FIELDS])?.broadcast_add(&offsets)?;
    let inputs = Named::new([("ids", ids), ("numbers", draw.normal(&[ROWS, 13])?)])?;
    Workload::new(params, Network::new(Box::new(sharing), heads), inputs, tasks)
}

/// Embedded ids beside numbers, then experts.
struct Fields {
    embedding: Embedding,
    experts: Mmoe,
}

impl Sharing for Fields {
    fn share(&self, inputs: &Named<Tensor>, tasks: &[String], mode: Mode<'_>) -> Result<Named<Tensor>> {
        let embedded = self.embedding.forward(inputs.require("view", "ids")?, mode)?;
        let x = ops::concat_features(&[&embedded, inputs.require("view", "numbers")?])?;
        self.experts.share(&Named::new([("x", x)])?, tasks, mode)
    }
}

/// Two layers to one logit.
struct Tower([Box<dyn Stage>; 2]);

impl Stage for Tower {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, mode))
    }
}
