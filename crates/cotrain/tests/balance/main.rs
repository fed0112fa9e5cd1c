//! Balances of losses, of the tasks' gradients of parameters and of features, and of samples.

#[path = "../small/mod.rs"]
mod small;

mod batches;
mod conventions;
mod cost;
mod feedback;
mod four;
mod parameters;
mod representation;
mod resume;
mod samples;
mod weights;
