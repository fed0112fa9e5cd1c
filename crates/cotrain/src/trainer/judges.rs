//! The batches of a protocol's upper level: in order, epoch after epoch, a function of the steps done.

use candle_core::Device;
use taskweave_data::{Batch, Epoch, Loader};
use taskweave_kernels::{Error, Result};

/// Batches of a loader without end; nothing has to be saved to go on where they were.
pub(super) struct Judges {
    loader: Option<Loader>,
    epoch: u64,
    rest: Option<Epoch>,
}

impl Judges {
    /// The batches after so many steps of `each`.
    pub(super) fn after(loader: Option<&Loader>, steps: u64, each: usize) -> Self {
        let Some(loader) = loader else { return Self { loader: None, epoch: 0, rest: None } };
        let (taken, batches) = (steps.saturating_mul(each as u64), loader.batches().max(1) as u64);
        let (epoch, first) = (taken / batches, (taken % batches) as usize);
        Self { loader: Some(loader.clone()), epoch, rest: Some(loader.epoch_from(epoch, first)) }
    }

    /// The next batches, on `device`.
    pub(super) fn next(&mut self, count: usize, device: &Device) -> Result<Vec<Batch>> {
        (0..count).map(|_| self.one()?.to_device(device)).collect()
    }

    fn one(&mut self) -> Result<Batch> {
        if let Some(batch) = self.rest.as_mut().and_then(Iterator::next) {
            return batch;
        }
        self.epoch += 1;
        self.rest = self.loader.as_ref().map(|loader| loader.epoch(self.epoch));
        let next = self.rest.as_mut().and_then(Iterator::next);
        next.unwrap_or_else(|| Err(Error::parameter("batches of the upper level", "at least one", 0)))
    }
}
