//! Tests of the data crate through its public API.

mod datasets;
mod hostile;
mod hostile_images;
mod hostile_views;
mod loader;
mod real;
mod transforms;
