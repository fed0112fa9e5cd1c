//! LabelNoise: the labels of another data set, some of them wrong on purpose.
//!
//! With the rate r, a class y of C becomes
//!     symmetric:  any other class, each with probability r / (C − 1);
//!     pair:       the next class, (y + 1) mod C, with probability r.
//! What becomes of a label depends on the seed and on its index alone.
//! Reference: Han et al., "Co-teaching", NeurIPS 2018, section 4, <https://arxiv.org/abs/1804.06872>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Rng};

use crate::{Dataset, Label, Sample, Spec};

/// How labels go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Any other class, all equally likely.
    Symmetric,
    /// The next class; the last one becomes the first.
    Pair,
}

/// A data set some of whose classes are wrong on purpose, to study how a method bears it.
///
/// # Example
/// ```
/// use taskweave_data::{Corruption, Dataset, Images, LabelNoise};
/// use taskweave_kernels::Rng;
/// let images = Images::new([1, 1, 1], vec![0; 2], vec![0, 2], ["a", "b", "c"].map(String::from).to_vec())?;
/// let noisy = LabelNoise::new(images, "class", Corruption::Pair, 1.0, &Rng::new(0))?;
/// let class = |index| noisy.get(index)?.targets["class"].value().to_scalar::<u32>();
/// assert_eq!([class(0)?, class(1)?], [1, 0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabelNoise<D> {
    dataset: D,
    task: String,
    corruption: Corruption,
    rate: f64,
    classes: usize,
    rng: Rng,
}

impl<D: Dataset> LabelNoise<D> {
    /// Corrupts the classes of `task` in `dataset` with probability `rate`, by the fork `"label noise"` of `rng`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task that the data set does not have, [`Error::Parameter`] for one whose labels are
    /// not classes of at least two, and for a rate outside [0, 1].
    pub fn new(dataset: D, task: &str, corruption: Corruption, rate: f64, rng: &Rng) -> Result<Self> {
        let classes = dataset.spec().targets.require("task", task)?.classes()?.len();
        if classes < 2 {
            return Err(Error::parameter("classes of noisy labels", "at least 2", classes));
        }
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::parameter("rate of label noise", "a number in [0, 1]", rate));
        }
        Ok(Self { dataset, task: task.into(), corruption, rate, classes, rng: rng.fork("label noise") })
    }

    fn corrupted(&self, index: usize, class: u32) -> u32 {
        let (mut rng, classes) = (self.rng.fork_at(index as u64), self.classes as u32);
        if !rng.chance(self.rate) {
            return class;
        }
        let step = match self.corruption {
            Corruption::Symmetric => 1 + rng.below(self.classes - 1) as u32,
            Corruption::Pair => 1,
        };
        (class + step) % classes
    }
}

impl<D: Dataset> Dataset for LabelNoise<D> {
    fn spec(&self) -> &Spec {
        self.dataset.spec()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.dataset.get(index)?;
        if let Some(label) = sample.targets.get_mut(&self.task) {
            let class = self.corrupted(index, label.value().to_scalar()?);
            *label = label.with_value(Label::class(class)?.value().clone());
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Images;

    fn noisy(corruption: Corruption, rate: f64) -> Vec<u32> {
        let (n, names) = (4000, (0..4).map(|c| c.to_string()).collect());
        let images = Images::new([1, 1, 1], vec![0; n], vec![3; n], names).unwrap();
        let noisy = LabelNoise::new(images, "class", corruption, rate, &Rng::new(1)).unwrap();
        (0..n).map(|i| noisy.get(i).unwrap().targets["class"].value().to_scalar().unwrap()).collect()
    }

    #[test]
    fn the_rate_is_kept_and_symmetric_noise_is_even() {
        let labels = noisy(Corruption::Symmetric, 0.6);
        let count = |class| labels.iter().filter(|&&c| c == class).count() as f64;
        // 4000 · (0.2, 0.2, 0.2, 0.4) with a deviation of at most √(4000 · 0.24) = 31.
        assert!(
            (0..3).all(|class| (count(class) - 800.0).abs() < 125.0) && (count(3) - 1600.0).abs() < 125.0
        );
        let labels = noisy(Corruption::Pair, 0.45);
        assert!(labels.iter().all(|&class| class == 0 || class == 3));
        assert!((labels.iter().filter(|&&class| class == 0).count() as f64 - 1800.0).abs() < 125.0);
        assert_eq!(noisy(Corruption::Pair, 0.0), vec![3; 4000]);
    }

    #[test]
    fn what_cannot_be_corrupted_is_refused() {
        let images = |classes: usize| {
            Images::new([1, 1, 1], vec![0], vec![0], (0..classes).map(|c| c.to_string()).collect()).unwrap()
        };
        let new =
            |images, task, rate| LabelNoise::new(images, task, Corruption::Pair, rate, &Rng::new(0)).err();
        assert!(matches!(new(images(2), "mask", 0.1), Some(Error::Unknown { .. })));
        assert!(matches!(new(images(1), "class", 0.1), Some(Error::Parameter { .. })));
        assert!(matches!(new(images(2), "class", f64::NAN), Some(Error::Parameter { .. })));
    }
}
