//! Cache: another data set, read once and kept in memory.

use rayon::prelude::*;
use taskweave_kernels::Result;

use super::check_index;
use crate::{Dataset, Sample, Spec};

/// Another data set whose samples are made once, on all cores, and kept in memory.
///
/// Worth it where making a sample costs more than its memory, as with [`crate::Shapes`] over several epochs. A
/// sample is handed out without copying.
///
/// # Example
/// ```
/// use taskweave_data::{Cache, Dataset, Shapes, ShapesConfig};
/// let shapes = Shapes::new(ShapesConfig { len: 10, ..ShapesConfig::default() })?;
/// let kept = Cache::new(&shapes)?;
/// assert_eq!(kept.len(), 10);
/// assert_eq!(kept.get(3)?.inputs["image"].to_vec3::<f32>()?, shapes.get(3)?.inputs["image"].to_vec3::<f32>()?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    samples: Vec<Sample>,
    spec: Spec,
}

impl Cache {
    /// Reads all samples of `dataset`.
    ///
    /// # Errors
    /// Those of the data set, for the first sample that has one.
    pub fn new(dataset: &dyn Dataset) -> Result<Self> {
        let samples: Vec<Result<Sample>> =
            (0..dataset.len()).into_par_iter().map(|index| dataset.get(index)).collect();
        Ok(Self { samples: samples.into_iter().collect::<Result<_>>()?, spec: dataset.spec().clone() })
    }
}

impl Dataset for Cache {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len())?;
        Ok(self.samples[index].clone())
    }
}
