//! Methods side by side: several trainings over several seeds.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `outcomes` | how each training came out, their table, Δm and Δp |
//! | `transfer` | which tasks lose by being learned together |

mod outcomes;
mod transfer;

pub use outcomes::{Comparison, Outcome, Training};
pub use transfer::Transfer;
