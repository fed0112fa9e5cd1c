//! Data sets, readers, augmentation and the loader of taskweave.
//!
//! Data flows through four nouns, each of them one page:
//!
//! ```text
//! Dataset ──get(index)──▶ Sample ──Transform──▶ Sample ──collate──▶ Batch
//!    │                                                                ▲
//!    └── split / stratified ──▶ indices ──▶ Loader ── epoch(e) ───────┘
//! ```
//!
//! # Decisions
//!
//! - **A label carries its weight from the start.** A [`Sample`] holds a [`Label`] per task, and a task that it
//!   does not name is a label of weight 0. Half-labeled sets need no second code path: [`Batch::collate`] fills
//!   the gap with zeros that count nothing, and leaves out a task that no sample of the batch has.
//! - **Random numbers belong to a place, not to a thread.** The order of an epoch is drawn from a fork of the
//!   loader's stream by epoch, the augmentation of a sample from a fork by epoch and index. So the batches are
//!   bit-identical for any number of workers, and [`Loader::epoch_from`] resumes in the middle of an epoch
//!   without replaying it: a loader has no state to save beyond (epoch, batch).
//! - **Pixels are kept as bytes** and become f32 in \[0, 1\] when a sample is asked for: a quarter of the memory,
//!   and files are decoded once.
//! - **A data set is a function of the index.** [`Shapes`] draws sample i from (seed, i) alone; a wrapper such as
//!   [`WithMask`] or [`Subset`] adds to a data set without knowing which one it is.
//!
//! # What this crate is not
//!
//! It knows no model and no loss, downloads nothing, and prints nothing. Files are only read, never written.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batch;
pub mod dataset;
pub mod loader;
mod sample;
pub mod split;
pub mod transform;

pub use batch::Batch;
pub use dataset::{
    Cache, Cifar10, Corruption, Dataset, ImageFolder, Images, LabelNoise, Labels, Memory, Mfeat,
    MissingLabels, Mnist, MultiMnist, MultiMnistConfig, Part, School, SelectTasks, Shapes, ShapesConfig,
    Spec, Subset, TwoMoons, TwoMoonsConfig, WebkbCourse, WithMask, read_image,
};
pub use loader::{Epoch, Last, Loader, LoaderBuilder, Order};
pub use sample::{Label, Sample};
pub use split::{Split, split, stratified};
pub use transform::{
    ColorJitter, Compose, Cutout, Flip, Noise, Normalize, Padding, RandAugment, Shift, Spread, Transform,
    TransformConfig, Views,
};
