//! Pairs of digits to learn from, to look at while learning, and to be judged by.

use std::path::Path;
use std::sync::Arc;

use taskweave::data::{Cache, Mnist, MultiMnist, MultiMnistConfig, Part, Subset, split};
use taskweave::prelude::*;

use super::JobConfig;

/// The parts share no digit: those to learn from are made of five sixths of MNIST's training digits, those to look at of the
/// others, and those to be judged by of its test digits.
pub struct Samples {
    pub train: Arc<dyn Dataset>,
    pub valid: Arc<dyn Dataset>,
    pub test: Arc<dyn Dataset>,
}

impl Samples {
    pub fn load(job: &JobConfig, mnist: &Path) -> Result<Self> {
        let digits = Arc::new(Mnist::open(mnist, Part::Train)?);
        let parts = split(digits.len(), [5.0 / 6.0, 1.0 / 6.0, 0.0], &mut Rng::new(0).fork("digits"))?;
        let [train, valid, test] = job.samples;
        Ok(Self {
            train: pairs(Subset::new(digits.clone(), parts.train)?, train)?,
            valid: pairs(Subset::new(digits, parts.valid)?, valid)?,
            test: pairs(Mnist::open(mnist, Part::Test)?, test)?,
        })
    }
}

fn pairs(digits: impl Dataset + 'static, len: usize) -> Result<Arc<dyn Dataset>> {
    let pairs = MultiMnist::new(digits, MultiMnistConfig { len, ..MultiMnistConfig::default() })?;
    Ok(Arc::new(Cache::new(&pairs)?))
}
