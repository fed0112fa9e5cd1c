//! The parts of the `co_training` example.

mod approach;
mod networks;
pub mod page;
pub mod problems;

pub use approach::{Approach, Outcome};
pub use problems::Problem;
