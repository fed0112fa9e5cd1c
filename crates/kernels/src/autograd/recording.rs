//! What is recorded on this thread.

use std::cell::RefCell;

use candle_core::Tensor;

use super::{Function, Tape};
use crate::Result;

thread_local! {
    /// What the calls around this one asked for, the innermost last.
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
}

enum Asked {
    Tape(Tape),
    Nothing,
}

/// What a function's call becomes part of.
pub(super) enum Recorded {
    Graph,
    Tape,
    Nothing,
}

/// Runs `f` and records what it does with the functions of this crate on a tape.
///
/// Recorded is what happens on the calling thread; what `f` does on other threads becomes part of candle's
/// graph, and is found there.
///
/// # Errors
/// Those of `f`.
///
/// # Example
/// See the [module](crate::autograd).
pub fn record<R>(f: impl FnOnce() -> Result<R>) -> Result<(R, Tape)> {
    let scope = Scope::enter(Asked::Tape(Tape::default()));
    let value = f()?;
    match scope.leave() {
        Some(Asked::Tape(tape)) => Ok((value, tape)),
        _ => Ok((value, Tape::default())),
    }
}

/// Runs `f` without keeping what a backward pass would need.
///
/// # Example
/// ```
/// use candle_core::{Device, Var};
/// use taskweave_kernels::{autograd, ops};
/// let x = Var::new(&[-1f64, 2.0], &Device::Cpu)?;
/// let y = autograd::no_grad(|| ops::relu(&x))?;
/// assert!(!y.track_op());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(Asked::Nothing);
    f()
}

/// Leaves what was entered, also where a panic unwinds.
struct Scope(bool);

impl Scope {
    fn enter(asked: Asked) -> Self {
        ASKED.with_borrow_mut(|stack| stack.push(asked));
        Self(true)
    }

    fn leave(mut self) -> Option<Asked> {
        self.0 = false;
        ASKED.with_borrow_mut(Vec::pop)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.0 {
            ASKED.with_borrow_mut(Vec::pop);
        }
    }
}

pub(super) fn state() -> Recorded {
    ASKED.with_borrow(|stack| match stack.last() {
        None => Recorded::Graph,
        Some(Asked::Tape(_)) => Recorded::Tape,
        Some(Asked::Nothing) => Recorded::Nothing,
    })
}

pub(super) fn push(function: Box<dyn Function>, inputs: Vec<Tensor>, output: Tensor) {
    ASKED.with_borrow_mut(|stack| {
        if let Some(Asked::Tape(tape)) = stack.last_mut() {
            tape.push(function, inputs, output);
        }
    });
}
