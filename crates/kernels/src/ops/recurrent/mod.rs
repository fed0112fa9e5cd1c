//! Recurrent networks over whole sequences, one function each.
//!
//! | function | state | gates | source |
//! | --- | --- | --- | --- |
//! | [`gru`] | h | r, z, n | Cho et al., 2014 |
//! | [`lstm`] | h, c | i, f, g, o | Hochreiter and Schmidhuber, 1997 |
//!
//! The input of all steps is projected by one product. The recurrence is split into blocks of samples, and each
//! block runs through the whole sequence on one thread, so that threads never wait for each other at a step and
//! the weights stay in their caches. The backward pass does the same from the end, and leaves the gradients of the
//! gates of all steps behind, from which those of weights, biases and input are again single products.

mod cell;
mod gradients;
mod gru;
mod lstm;
mod unrolled;
mod weights;

pub use gru::gru;
pub use lstm::lstm;
pub use weights::RecurrentWeights;
