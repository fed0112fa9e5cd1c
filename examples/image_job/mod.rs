//! Class and mask of images: what `quickstart`, `image_multitask` and `predict` share.

mod config;
mod source;
mod train;

pub use config::{JobConfig, Method, Source};
pub use source::Samples;
pub use train::{criterion_weights, training};
