//! Attention of queries to keys, without the table of all pairs.
//!
//! | file | what |
//! | --- | --- |
//! | `call` | the two functions, and what they accept |
//! | `mask` | which keys a query may see |
//! | `attend` | values, by blocks of queries |
//! | `gradients` | the backward pass, which computes the probabilities again |
//! | `composed` | the same from candle's operations |

mod attend;
mod call;
mod composed;
mod gradients;
mod mask;

pub use call::{Attention, attention, self_attention};
pub use mask::AttentionMask;
