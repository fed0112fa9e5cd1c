//! MissingLabels: another data set most of whose labels are hidden, task by task at random.
//!
//! Whether a label is hidden depends on the seed, the task and the index alone.

use taskweave_kernels::{Error, Result, Rng};

use crate::{Dataset, Sample, Spec};

/// A data set some of whose labels are hidden, each task by itself.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, MissingLabels, Shapes, ShapesConfig};
/// use taskweave_kernels::Rng;
/// let shapes = Shapes::new(ShapesConfig::default())?;
/// let none = MissingLabels::new(shapes.clone(), 1.0, &Rng::new(0))?;
/// let all = MissingLabels::new(shapes, 0.0, &Rng::new(0))?;
/// assert_eq!((none.get(0)?.targets.len(), all.get(0)?.targets.len()), (0, 2));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MissingLabels<D> {
    dataset: D,
    share: f64,
    rng: Rng,
}

impl<D: Dataset> MissingLabels<D> {
    /// Hides every label with probability `share`, by the fork `"missing labels"` of `rng`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside [0, 1].
    pub fn new(dataset: D, share: f64, rng: &Rng) -> Result<Self> {
        match (0.0..=1.0).contains(&share) {
            true => Ok(Self { dataset, share, rng: rng.fork("missing labels") }),
            false => Err(Error::parameter("share of missing labels", "a number in [0, 1]", share)),
        }
    }
}

impl<D: Dataset> Dataset for MissingLabels<D> {
    fn spec(&self) -> &Spec {
        self.dataset.spec()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.dataset.get(index)?;
        let hidden = |task: &&str| self.rng.fork(task).fork_at(index as u64).chance(self.share);
        let hidden: Vec<String> = sample.targets.names().filter(hidden).map(String::from).collect();
        hidden.iter().for_each(|task| drop(sample.targets.remove(task)));
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Shapes, ShapesConfig};

    #[test]
    fn tasks_lose_their_labels_independently() {
        let shapes = Shapes::new(ShapesConfig { len: 1000, size: 16, ..ShapesConfig::default() }).unwrap();
        let missing = MissingLabels::new(shapes.clone(), 0.6, &Rng::new(3)).unwrap();
        let mut counts = [0; 4];
        for index in 0..1000 {
            let targets = missing.get(index).unwrap().targets;
            counts[usize::from(targets.contains("class")) + 2 * usize::from(targets.contains("mask"))] += 1;
        }
        // 0.36, 0.24, 0.24, 0.16 of 1000 with a deviation of at most 15.
        for (count, expected) in counts.into_iter().zip([360, 240, 240, 160]) {
            assert!(i32::abs(count - expected) < 60, "{counts:?}");
        }
        assert!(MissingLabels::new(shapes, -0.1, &Rng::new(3)).is_err());
    }
}
