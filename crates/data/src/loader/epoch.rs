//! The batches of one epoch, loaded ahead by threads.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use taskweave_kernels::{Error, Result};

use super::Source;
use crate::{Batch, Sample};

/// How many finished batches wait per worker.
const WAITING: usize = 2;

/// The batches of one epoch in order: what [`super::Loader::epoch`] returns.
///
/// An error is delivered in the place of its batch, and the batches after it still come. A panic in a data set
/// or transform becomes such an error. Dropping the iterator ends its threads and waits for the batches that
/// they are working on.
pub struct Epoch {
    plan: Arc<Plan>,
    rest: Range<usize>,
    lanes: Vec<Receiver<Result<Batch>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Epoch {
    pub(super) fn new(source: Arc<Source>, epoch: u64, batches: Range<usize>, workers: usize) -> Self {
        let order = source.order(epoch);
        let plan = Arc::new(Plan { source, epoch, order });
        let workers = workers.min(batches.len());
        let mut this = Self { plan, rest: batches.clone(), lanes: Vec::new(), threads: Vec::new() };
        // Batch b waits in lane b mod workers, whatever the first batch is.
        for lane in 0..workers {
            let (sender, receiver) = sync_channel(WAITING);
            let plan = this.plan.clone();
            let mine = batches.clone().filter(move |batch| batch % workers == lane);
            // Where the system gives no thread, the sender is gone with the closure, and `next` loads itself.
            let thread =
                Builder::new().name(format!("loader {lane}")).spawn(move || fill(&plan, mine, &sender));
            this.threads.extend(thread.ok());
            this.lanes.push(receiver);
        }
        this
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.rest.next()?;
        if self.lanes.is_empty() {
            return Some(self.plan.batch(number));
        }
        let waiting = self.lanes[number % self.lanes.len()].recv();
        Some(waiting.unwrap_or_else(|_| self.plan.batch(number)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for Epoch {}

impl std::iter::FusedIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        // A worker that waits for room in its lane is woken by this, with an error.
        self.lanes.clear();
        for thread in self.threads.drain(..) {
            // It cannot have panicked: it runs foreign code only under `catch_unwind`.
            let _ = thread.join();
        }
    }
}

/// What one epoch consists of.
struct Plan {
    source: Arc<Source>,
    epoch: u64,
    order: Vec<usize>,
}

impl Plan {
    fn batch(&self, number: usize) -> Result<Batch> {
        let size = self.source.batch_size;
        let indices = self.order.iter().skip(number * size).take(size);
        let samples: Result<Vec<_>> = indices.map(|&index| Ok((index, self.sample(index)?))).collect();
        Batch::collate(&samples?)
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.source.sample(self.epoch, index)));
        loaded.unwrap_or_else(|panic| Err(panicked(index, panic.as_ref())))
    }
}

fn fill(plan: &Plan, batches: impl Iterator<Item = usize>, lane: &SyncSender<Result<Batch>>) {
    for number in batches {
        if lane.send(plan.batch(number)).is_err() {
            return;
        }
    }
}

fn panicked(index: usize, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Error::parameter(format!("sample {index}"), "a sample of the data set", format!("a panic: {text}"))
}
