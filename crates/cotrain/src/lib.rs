//! Training steps, schedules, checkpoints, reports and co-training of taskweave.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod balance;
mod comparison;
pub mod cotraining;
pub mod diagnostics;
mod ensemble;
pub mod gate;
mod json_lines;
pub mod learner;
pub mod pareto;
mod parts;
pub mod pool;
pub mod protocol;
mod range;
pub mod rate;
mod remembers;
pub mod report;
mod run;
mod sampling;
mod schedule;
pub mod selector;
mod stateless;
mod step;
pub mod teaching;
mod trainer;

pub use balance::{Balance, BalanceConfig, GradientsConfig, Heads, Normalize, Scale};
pub use comparison::{Comparison, Outcome, Training, Transfer};
pub use ensemble::{Ensemble, Term};
pub use json_lines::JsonLines;
pub use run::{Checkpoint, Checkpoints, Run};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use step::{Clip, Lookahead, Over, Part, Step, StepBuilder, StepReport, TaskScore, Weighed};
pub use trainer::{
    Callback, Control, Cosines, EarlyStopping, EpochRecord, History, Monitor, Progress, Trainer,
    TrainerBuilder, Unit, Upcoming,
};
