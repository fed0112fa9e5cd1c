//! Training steps, schedules, checkpoints, reports and co-training of taskweave.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod comparison;
pub mod diagnostics;
mod json_lines;
pub mod pareto;
pub mod rate;
pub mod report;
mod run;
mod sampling;
mod schedule;
mod step;
mod trainer;

pub use comparison::{Comparison, Outcome, Training, Transfer};
pub use json_lines::JsonLines;
pub use run::{Checkpoint, Checkpoints, Run};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use step::{Clip, Heads, Lookahead, Step, StepBuilder, StepReport, TaskScore};
pub use trainer::{
    Callback, Control, Cosines, EarlyStopping, EpochRecord, History, Monitor, Progress, Trainer,
    TrainerBuilder, Unit, Upcoming,
};
