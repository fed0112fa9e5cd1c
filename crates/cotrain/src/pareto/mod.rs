//! Sets of trade-offs between tasks, instead of one.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `front` | trade-offs, which of them are worth keeping, their hypervolume and their figure |
//! | `tracer` | one training per preference, or one network read at many |
//! | `preference` | the preference of the moment, shared by all that read it |
//! | `conditioned` | a model that sees the preference |
//! | `draw` | a callback that draws a preference for every step |
//!
//! Two ways lead to a set. **Tracing** trains one network per preference, from scratch or from the one before; any
//! scalarizer or weighting that takes a preference serves ([`Step::prefer`](crate::Step::prefer)). **Conditioning** trains
//! one network that sees the preference as an input, which is drawn anew for every step; afterwards it gives the trade-off of
//! any preference at the cost of a forward pass.

mod conditioned;
mod draw;
mod front;
mod preference;
mod tracer;

pub use conditioned::{Conditioned, Place};
pub use draw::DrawPreference;
pub use front::{Front, TradeOff, front_figure};
pub use preference::Preference;
pub use tracer::{Start, Tracer};
