//! 32 × 64 tokens → embedding 256, four pre-norm encoder layers → two classifications and a label per token.

use candle_core::Tensor;
use taskweave::heads::{Embedding, Linear, TransformerConfig};
use taskweave::kernels::ops;
use taskweave::prelude::*;

use super::{Draw, Workload, view};

pub fn build(mut draw: Draw) -> Result<Workload> {
    let params = draw.params();
    let config = TransformerConfig { width: 256, layers: 4, heads: 4, inner: 1024, dropout: 0.0 };
    let mut stages: Vec<Box<dyn Stage>> =
        vec![Box::new(Embedding::new(&params.shared().pp("words"), 5000, 256)?)];
    stages.extend(config.stages(&params.shared())?);
    let head = |task: &str, classes| Linear::new(&params.task(task), 256, classes);
    let heads = Named::new([
        ("sentiment", Box::new(Pooled(head("sentiment", 2)?)) as Box<dyn Stage>),
        ("topic", Box::new(Pooled(head("topic", 4)?))),
        ("entity", Box::new(PerToken(head("entity", 9)?))),
    ])?;
    let trunk = Backbone::new(stages, Features::Vector { width: 256 });
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    let tasks = vec![
        ("sentiment".into(), draw.classes(2, &[32])?),
        ("topic".into(), draw.classes(4, &[32])?),
        ("entity".into(), draw.classes(9, &[32, 64])?),
    ];
    Workload::new(params.clone(), model, view(draw.below(5000, &[32, 64])?)?, tasks)
}

/// Logits of the mean over time.
struct Pooled(Linear);

impl Stage for Pooled {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.0.forward(&ops::mean_pool1d(x)?, mode)
    }
}

/// Logits of every token, `[batch, classes, time]`.
struct PerToken(Linear);

impl Stage for PerToken {
    fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        Ok(self.0.forward(x, mode)?.transpose(1, 2)?)
    }
}
