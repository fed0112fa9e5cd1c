//! Training steps, schedules, checkpoints, reports and co-training of taskweave.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
pub mod rate;
pub mod report;
