//! Shared words, differentiable tensor kernels and optimizers of taskweave.
//!
//! This crate is the floor of the house: every other crate stands on it and none of them is known here.
//! It holds four things.
//!
//! - **Words** that all layers speak: [`Named`] (ordered, uniquely named values), [`Target`] (labels with a
//!   weight), [`Rng`] (a random stream that forks by label), [`Param`] (a trainable tensor that knows what it
//!   is and whose it is), [`State`] (what a stateful thing saves) and [`Error`].
//! - **[`autograd`]**: functions with a backward pass of their own, and the tape that differentiates them.
//! - **[`ops`]**: the differentiable functions that layers are made of. Layers call these, never a kernel, so
//!   that a faster kernel changes nothing above.
//! - **[`optim`]**: update rules and the optimizer that applies one of them to a set of parameters.
//!
//! # Why the words live here
//!
//! heads, loss and data are siblings that never see each other. What travels between them is `Named<Tensor>`
//! and `Named<Target>`, and this crate is the only one that all three may name.
//!
//! # What this crate is not
//!
//! It is no framework: there is no module system, no layer, no data set and no training loop here.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod autograd;
mod error;
mod gemm;
mod math;
mod named;
pub mod ops;
pub mod optim;
mod param;
mod rng;
mod rows;
mod simd;
mod state;
mod target;

pub use error::{Error, Result};
pub use named::Named;
pub use ops::finite::finite;
pub use ops::fresh::fresh_beside;
pub use optim::reduce::sum_of_squares;
pub use param::{Kind, Owner, Param};
pub use rng::Rng;
pub use rows::{inner_products, weighted_sum};
pub use simd::wide;
pub use state::{State, Stateful};
pub use target::Target;
