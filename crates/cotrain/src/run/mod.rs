//! What a run keeps on disk.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `folder` | a run's folder and the configuration that it belongs to |
//! | `checkpoint` | numbered checkpoints, each whole or absent |

mod checkpoint;
mod folder;

pub(crate) use checkpoint::BEST;
pub use checkpoint::{Checkpoint, Checkpoints};
pub use folder::Run;
