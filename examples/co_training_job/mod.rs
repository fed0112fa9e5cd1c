//! The parts of the `co_training` example.

mod approach;
mod classical;
mod networks;
pub mod page;
pub mod problems;

pub use approach::{Approach, Outcome};
pub use classical::Classical;
pub use problems::Problem;
