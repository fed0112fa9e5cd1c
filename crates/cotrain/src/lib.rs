//! Training steps, schedules, checkpoints, reports and co-training of taskweave.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod comparison;
pub mod cotraining;
pub mod gate;
pub mod learner;
mod nested;
pub mod pool;
pub mod rate;
pub mod report;
mod run;
mod sampling;
mod schedule;
pub mod selector;
mod step;
mod trainer;

pub use comparison::{Comparison, Outcome, Training};
pub use run::{Checkpoint, Checkpoints, Run};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use step::{Clip, Heads, Step, StepBuilder, StepReport, TaskScore};
pub use trainer::{
    Callback, Control, Cosines, EarlyStopping, EpochRecord, History, Monitor, Progress, Trainer,
    TrainerBuilder, Unit,
};
