//! Handwritten digits in two views, divided.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use taskweave::cotrain::learner::MultiView;
use taskweave::data::dataset::class_labels;
use taskweave::data::{Mfeat, Subset, stratified};
use taskweave::prelude::*;

/// Samples to learn from, to choose parameters by, and to be judged by.
pub struct Parts {
    pub train: Arc<dyn Dataset>,
    pub valid: Arc<dyn Dataset>,
    pub test: Arc<dyn Dataset>,
}

impl Parts {
    /// Two views of the digits in `root`, with the tasks `digit` and `odd`, standardized by the samples to learn from: half of all;
    /// a tenth is to choose by, and the rest to be judged by.
    pub fn of_digits(root: &Path, views: [&str; 2], rng: &Rng) -> Result<Self> {
        let data = Mfeat::open(root, &views)?;
        let digits = class_labels(&data, "digit")?;
        let parts = stratified(&digits, [0.5, 0.1, 0.4], &mut rng.fork("split"))?;
        let raw = MultiView::of_dataset(&data)?;
        let view = |name: &str| -> Result<(String, Tensor)> {
            let values = raw.require(name)?.standardized(&parts.train)?.to_tensor()?;
            Ok((name.into(), values.to_dtype(DType::F32)?))
        };
        let odd = digits.iter().map(|digit| digit % 2).collect();
        let targets = Named::new([
            ("digit", labels((0..10).map(|digit| digit.to_string()).collect(), digits)?),
            ("odd", labels(vec!["even".into(), "odd".into()], odd)?),
        ])?;
        let all = Arc::new(Memory::new(Named::new([view(views[0])?, view(views[1])?])?, targets)?);
        let part = |samples| -> Result<Arc<dyn Dataset>> { Ok(Arc::new(Subset::new(all.clone(), samples)?)) };
        Ok(Self { train: part(parts.train)?, valid: part(parts.valid)?, test: part(parts.test)? })
    }
}

fn labels(names: Vec<String>, values: Vec<u32>) -> Result<(Labels, Target)> {
    Ok((Labels::Class(names), Target::new(Tensor::new(values, &Device::Cpu)?)?))
}
