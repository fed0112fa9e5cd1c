//! 64 × 512 → MLP 1024, 1024 → ten logits; every sample is an objective of its own.

use taskweave::heads::Linear;
use taskweave::prelude::*;

use super::{Draw, Workload, view};

pub fn build(mut draw: Draw) -> Result<Workload> {
    let params = draw.params();
    let trunk = MlpConfig { inputs: 512, widths: vec![1024; 2], dropout: 0.0 }.build(&params.shared())?;
    let head = Linear::new(&params.shared().pp("out"), 1024, 10)?;
    let heads = Named::new([("sample", Box::new(head) as Box<dyn Stage>)])?;
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let tasks = vec![("sample".into(), draw.classes(10, &[64])?)];
    Workload::new(params, model, view(draw.normal(&[64, 512])?)?, tasks)
}
