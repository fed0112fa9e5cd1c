//! The batches of one step.

use taskweave_data::{Batch, Last};
use taskweave_kernels::{Error, Result};

/// The batches that a step of a protocol wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Training batches, at least 1. A [`Trainer`](crate::Trainer) gives consecutive ones of an epoch, which share no
    /// sample: in random order they are independent but for what drawing without replacement adds, of the order of 1 / n
    /// for n samples.
    pub train: usize,
    /// Batches of the upper level.
    pub upper: usize,
    /// What becomes of the last training batches of an epoch where they are fewer.
    pub last: Last,
}

/// The batches of one step.
#[derive(Debug, Clone, Copy)]
pub struct Batches<'a> {
    /// What the network learns from.
    pub train: &'a [Batch],
    /// What the weights of the tasks are judged by.
    pub upper: &'a [Batch],
}

impl<'a> Batches<'a> {
    /// Exactly `N` training batches; `protocol` names who asks.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another number.
    pub fn training<const N: usize>(&self, protocol: &str) -> Result<&'a [Batch; N]> {
        exactly(self.train, &format!("training batches of a step of {protocol}"))
    }

    /// Exactly `N` batches of the upper level; `protocol` names who asks.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another number.
    pub fn judging<const N: usize>(&self, protocol: &str) -> Result<&'a [Batch; N]> {
        exactly(self.upper, &format!("upper batches of a step of {protocol}"))
    }
}

fn exactly<'a, const N: usize>(batches: &'a [Batch], what: &str) -> Result<&'a [Batch; N]> {
    batches.try_into().map_err(|_| Error::parameter(what, N.to_string(), batches.len()))
}
