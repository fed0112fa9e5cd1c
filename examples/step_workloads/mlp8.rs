//! 256 × 512 → MLP 1024, 1024, 1024 → eight linear regressions.

use taskweave::heads::Linear;
use taskweave::prelude::*;

use super::{Draw, Objective, Workload, view};

pub fn build(draw: Draw) -> Result<Workload> {
    with_tasks(draw, 8)
}

/// The same with any number of regressions.
pub fn with_tasks(mut draw: Draw, count: usize) -> Result<Workload> {
    let params = draw.params();
    let trunk = MlpConfig { inputs: 512, widths: vec![1024; 3], dropout: 0.0 }.build(&params.shared())?;
    let (mut heads, mut tasks) = (Named::default(), Vec::new());
    for i in 0..count {
        let task = format!("task{i}");
        heads.insert(task.clone(), Box::new(Linear::new(&params.task(&task), 1024, 1)?) as Box<dyn Stage>)?;
        let target: Objective = (Box::new(Mse), Target::new(draw.normal(&[256, 1])?)?);
        tasks.push((task, target));
    }
    let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
    Workload::new(params, model, view(draw.normal(&[256, 512])?)?, tasks)
}
