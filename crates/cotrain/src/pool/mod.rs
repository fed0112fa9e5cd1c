//! Who has a label: given, guessed, or none.
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Pool`] | the labeled, pseudo-labeled and unlabeled samples, disjoint at any time |
//! | [`PseudoLabel`] | a guess: by whom, when, how sure |
//! | [`Proposal`] | a guess that is not in the pool yet |
//! | [`Conflict`] | what becomes of different guesses about one sample |
//! | [`Quota`] | how many samples of each class join per round |

mod conflict;
mod quota;
mod samples;
mod saved;

pub use conflict::{Conflict, Proposal};
pub use quota::Quota;
pub use samples::{Pool, PseudoLabel};
