//! Digits of which some labels are wrong, and how well a method selects among them.

use std::sync::Arc;

use candle_core::DType;
use taskweave::cotrain::Ensemble;
use taskweave::cotrain::teaching::Teachings;
use taskweave::data::{Corruption, LabelNoise, Mnist, Subset};
use taskweave::prelude::*;

use super::{BATCH, Plan};
use crate::digits::Digits;

type Chosen = Subset<Arc<Mnist>>;

/// Digits to learn from, with right and with wrong labels, and others to draw curves by.
pub struct Parts {
    clean: Chosen,
    pub noisy: Arc<LabelNoise<Chosen>>,
    pub valid: Arc<Chosen>,
}

impl Parts {
    pub fn new(
        digits: &Digits,
        (corruption, rate): (Corruption, f64),
        plan: &Plan,
        rng: &Rng,
    ) -> Result<Self> {
        let mut order: Vec<usize> = (0..digits.train.len()).collect();
        rng.fork("split").shuffle(&mut order);
        let valid = order.split_off(order.len() - 1000);
        order.truncate(plan.samples);
        let clean = Subset::new(digits.train.clone(), order)?;
        let noisy = LabelNoise::new(clean.clone(), "class", corruption, rate, rng)?;
        let valid = Subset::new(digits.train.clone(), valid)?;
        Ok(Self { clean, noisy: Arc::new(noisy), valid: Arc::new(valid) })
    }

    /// The digits with wrong labels, in random order; `labels` are those that the networks learn.
    pub fn training(labels: Arc<dyn Dataset>, ensemble: &Ensemble, rng: &Rng) -> Result<Loader> {
        let loader = Loader::builder(labels).batch_size(BATCH).order(Order::Shuffled);
        loader.transform(ensemble.spread()).rng(rng.fork("loader")).build()
    }

    /// The share of right labels among those that are learned from after the last step, in percent.
    pub fn precision(&self, teachings: &mut Teachings, train: &Loader, step: u64) -> Result<f64> {
        let (mut right, mut total) = (0.0, 0.0);
        for batch in train.epoch(0) {
            let batch = teachings.prepare(batch?, step, 0)?;
            let Some(target) = batch.targets.get("class@a") else { continue };
            let weights = target.weight().to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for (index, _) in batch.indices.iter().zip(weights).filter(|(_, weight)| *weight > 0.0) {
                total += 1.0;
                right += f64::from(u8::from(class(&self.clean, *index)? == class(&*self.noisy, *index)?));
            }
        }
        Ok(100.0 * right / f64::max(total, 1.0))
    }
}

fn class(dataset: &dyn Dataset, index: usize) -> Result<u32> {
    Ok(dataset.get(index)?.targets.require("task", "class")?.value().to_scalar()?)
}
