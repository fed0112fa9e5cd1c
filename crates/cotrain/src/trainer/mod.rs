//! The loop over steps, for those who do not write it themselves.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `builder` | the parts of a trainer |
//! | `fit` | epochs, validation, when it is over |
//! | `saved` | checkpoints, resuming, going back to an epoch |
//! | `judges` | the batches of a protocol's upper level |
//! | `history` | what happened, epoch by epoch |
//! | `early_stopping` | when to stop, and which parameters to keep |
//! | `callback` | what listens |
//! | `progress` | a progress bar |

mod builder;
mod callback;
mod early_stopping;
mod fit;
mod history;
mod judges;
mod progress;
mod saved;

pub use builder::{Cosines, Trainer, TrainerBuilder, Unit};
pub use callback::{Callback, Control, Upcoming};
pub use early_stopping::{EarlyStopping, Monitor};
pub use history::{EpochRecord, History};
pub use progress::Progress;
