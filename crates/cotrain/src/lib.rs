//! Training steps, schedules, checkpoints, reports and co-training of taskweave.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod comparison;
mod ensemble;
pub mod rate;
pub mod report;
mod run;
mod sampling;
mod schedule;
mod step;
pub mod teaching;
mod trainer;

pub use comparison::{Comparison, Outcome, Training};
pub use ensemble::{Ensemble, Term};
pub use run::{Checkpoint, Checkpoints, Run};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use step::{Clip, Heads, Step, StepBuilder, StepReport, TaskScore};
pub use trainer::{
    Callback, Control, Cosines, EarlyStopping, EpochRecord, History, Monitor, Progress, Trainer,
    TrainerBuilder, Unit,
};
