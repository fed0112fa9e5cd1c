//! A change that happens as a whole or not at all.

use taskweave_kernels::{Result, Stateful};

/// Runs `change`; where it is refused, the state of `of` is what it was before, also that of the methods inside of it.
pub(crate) fn attempt<S: Stateful, T>(of: &mut S, change: impl FnOnce(&mut S) -> Result<T>) -> Result<T> {
    let before = of.save()?;
    let found = change(of);
    if found.is_err() {
        of.restore(&before)?;
    }
    found
}
