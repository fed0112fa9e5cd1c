//! The prefetching loader: a data set, in random order, augmented, in batches.
//!
//! Batch b of epoch e is a function of (loader, e, b) and of nothing else:
//!
//! ```text
//! order of epoch e           = shuffle(indices) by rng.fork("order").fork_at(e)
//! augmentation of sample i   = drawn from rng.fork("augment").fork_at(e).fork_at(i)
//! ```
//!
//! Worker w of n makes the batches w, w + n, w + 2n, … ahead of time and puts them into a channel of its own
//! that holds two; the consumer takes from the channels in turn. So batches come in order, for any number of
//! workers and from any first batch bit for bit the same, and memory stays bounded.

mod builder;
mod epoch;

use std::sync::Arc;

use taskweave_kernels::{Result, Rng};

use crate::{Dataset, Sample, Transform};

pub use builder::LoaderBuilder;
pub use epoch::Epoch;

/// Makes the batches of every epoch. It has no state that changes: resuming is [`Loader::epoch_from`].
///
/// # Example
/// Ten samples in batches of four, in random order, the last batch smaller.
/// ```
/// use std::sync::Arc;
/// use taskweave_data::{Loader, Order, Shapes, ShapesConfig};
/// use taskweave_kernels::Rng;
/// let shapes = Arc::new(Shapes::new(ShapesConfig { len: 10, ..ShapesConfig::default() })?);
/// let loader =
///     Loader::builder(shapes).batch_size(4).order(Order::Shuffled).rng(Rng::new(7)).workers(2).build()?;
/// let mut sizes = Vec::new();
/// for batch in loader.epoch(0) {
///     sizes.push(batch?.len());
/// }
/// assert_eq!(sizes, [4, 4, 2]);
/// let resumed: Vec<_> = loader.epoch_from(0, 2).collect::<Result<_, _>>()?;
/// assert_eq!(resumed.len(), 1);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    source: Arc<Source>,
    workers: usize,
}

/// The order of the samples in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in the list of indices.
    Sequential,
    /// Drawn anew for every epoch.
    Shuffled,
}

/// What becomes of a last batch that is smaller than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is delivered.
    Keep,
    /// It is left out.
    Drop,
}

impl Loader {
    /// A loader over all samples of `dataset`, to be adjusted by the methods of [`LoaderBuilder`].
    pub fn builder(dataset: Arc<dyn Dataset>) -> LoaderBuilder {
        LoaderBuilder::new(dataset)
    }

    /// The data set.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.source.dataset
    }

    /// How many samples an epoch delivers.
    pub fn samples(&self) -> usize {
        match self.source.last {
            Last::Keep => self.source.indices.len(),
            Last::Drop => self.batches() * self.source.batch_size,
        }
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        let (samples, size) = (self.source.indices.len(), self.source.batch_size);
        match self.source.last {
            Last::Keep => samples.div_ceil(size),
            Last::Drop => samples / size,
        }
    }

    /// All batches of an epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from `first_batch` on, the same as an uninterrupted epoch delivers; none where
    /// the epoch has no more.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        Epoch::new(self.source.clone(), epoch, first_batch..self.batches(), self.workers)
    }
}

/// All that a batch depends on.
struct Source {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    order: Order,
    last: Last,
    transform: Option<Box<dyn Transform>>,
    rng: Rng,
}

impl Source {
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.indices.clone();
        if self.order == Order::Shuffled {
            self.rng.fork("order").fork_at(epoch).shuffle(&mut order);
        }
        order
    }

    fn sample(&self, epoch: u64, index: usize) -> Result<Sample> {
        let sample = self.dataset.get(index)?;
        match &self.transform {
            Some(transform) => {
                let mut rng = self.rng.fork("augment").fork_at(epoch).fork_at(index as u64);
                transform.apply(sample, &mut rng)
            }
            None => Ok(sample),
        }
    }
}
