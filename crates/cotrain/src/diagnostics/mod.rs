//! How the gradients of the tasks meet while a network is trained.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `alignment` | norms, cosines, norm ratios and the conflict rate of one set of parameters |
//! | `record` | those of everything shared, and of each layer, at one step |
//! | `watch` | the callback that writes them as JSON lines |
//! | `panels` | the figures of a report |
//! | `affinity` | the callback that writes the affinities of the tasks, and their figure |

mod affinity;
mod alignment;
mod panels;
mod period;
mod record;
mod watch;

pub use affinity::{AffinityRecord, AffinityWatch, affinity_map};
pub use alignment::{Alignment, Pair};
pub use panels::panels;
pub use period::Period;
pub use record::{GradientRecord, Layers};
pub use watch::GradientWatch;
