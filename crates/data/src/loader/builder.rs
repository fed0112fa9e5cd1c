//! The parameters of a loader.

use std::sync::Arc;

use taskweave_kernels::{Error, Result, Rng};

use super::{Last, Loader, Order, Source};
use crate::dataset::check_index;
use crate::{Dataset, Transform};

/// The parameters of a [`Loader`], checked by [`LoaderBuilder::build`].
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `indices` | all | each below `dataset.len()`, at least one | the samples; one that comes twice is delivered twice, with one augmentation |
/// | `batch_size` | 32 | ≥ 1 | samples per batch |
/// | `order` | sequential | | order of the samples in an epoch |
/// | `last` | keep | | what becomes of a smaller last batch |
/// | `transform` | none | | the augmentation |
/// | `rng` | `Rng::new(0)` | | the stream for order and augmentation; only forks of it are used |
/// | `workers` | 1 | ≥ 0 | threads that load ahead; 0 loads in the caller's thread |
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use taskweave_data::{Flip, Last, Loader, Shapes, ShapesConfig};
/// let shapes = Arc::new(Shapes::new(ShapesConfig { len: 10, ..ShapesConfig::default() })?);
/// let loader = Loader::builder(shapes.clone())
///     .indices((0..9).collect())
///     .batch_size(4)
///     .last(Last::Drop)
///     .transform(Flip::new(0.5)?)
///     .build()?;
/// assert_eq!((loader.batches(), loader.samples()), (2, 8));
/// assert!(Loader::builder(shapes).batch_size(0).build().is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[must_use]
pub struct LoaderBuilder {
    source: Source,
    workers: usize,
}

impl LoaderBuilder {
    pub(super) fn new(dataset: Arc<dyn Dataset>) -> Self {
        let source = Source {
            indices: (0..dataset.len()).collect(),
            dataset,
            batch_size: 32,
            order: Order::Sequential,
            last: Last::Keep,
            transform: None,
            rng: Rng::new(0),
        };
        Self { source, workers: 1 }
    }

    /// Loads only these samples.
    pub fn indices(mut self, indices: Vec<usize>) -> Self {
        self.source.indices = indices;
        self
    }

    /// Samples per batch.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.source.batch_size = batch_size;
        self
    }

    /// The order of the samples in an epoch.
    pub fn order(mut self, order: Order) -> Self {
        self.source.order = order;
        self
    }

    /// What becomes of a last batch that is smaller than the others.
    pub fn last(mut self, last: Last) -> Self {
        self.source.last = last;
        self
    }

    /// The augmentation; [`crate::Compose`] makes several into one.
    pub fn transform(mut self, transform: impl Transform + 'static) -> Self {
        self.source.transform = Some(Box::new(transform));
        self
    }

    /// The stream for order and augmentation.
    pub fn rng(mut self, rng: Rng) -> Self {
        self.source.rng = rng;
        self
    }

    /// Threads that load ahead; 0 loads in the caller's thread. The batches are the same.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The loader.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a batch size of 0, no samples, an index that the data set does not have, and
    /// fewer samples than one batch where the last one is dropped.
    pub fn build(self) -> Result<Loader> {
        let (size, samples) = (self.source.batch_size, self.source.indices.len());
        if size == 0 {
            return Err(Error::parameter("batch size", "a number ≥ 1", size));
        }
        if samples == 0 {
            return Err(Error::parameter("samples of a loader", "at least one", "none"));
        }
        if self.source.last == Last::Drop && samples < size {
            let expected = format!("at most the {samples} samples, as a smaller batch is dropped");
            return Err(Error::parameter("batch size", expected, size));
        }
        let len = self.source.dataset.len();
        self.source.indices.iter().try_for_each(|&index| check_index(index, len))?;
        Ok(Loader { source: Arc::new(self.source), workers: self.workers })
    }
}
