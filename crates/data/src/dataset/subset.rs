//! Some samples of another data set.

use taskweave_kernels::Result;

use super::check_index;
use crate::{Dataset, Sample, Spec};

/// Some samples of another data set, in a given order; an index may come twice.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Images, Subset};
/// let digits = Images::new([1, 1, 1], vec![0, 51, 255], vec![0; 3], vec!["any".into()])?;
/// let ends = Subset::new(digits, vec![2, 0])?;
/// assert_eq!(ends.get(0)?.inputs["image"].flatten_all()?.to_vec1::<f32>()?, [1.0]);
/// assert_eq!(ends.len(), 2);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Subset<D> {
    dataset: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The samples of `dataset` at `indices`.
    ///
    /// # Errors
    /// [`taskweave_kernels::Error::Parameter`] for an index that the data set does not have.
    pub fn new(dataset: D, indices: Vec<usize>) -> Result<Self> {
        indices.iter().try_for_each(|&index| check_index(index, dataset.len()))?;
        Ok(Self { dataset, indices })
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    fn spec(&self) -> &Spec {
        self.dataset.spec()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len())?;
        self.dataset.get(self.indices[index])
    }
}
