//! The ranges that parameters of update rules are checked against.

use crate::{Error, Result};

/// A finite number ≥ 0.
pub(super) fn not_negative(name: &str, value: f64) -> Result<()> {
    require(value.is_finite() && value >= 0.0, name, "a finite number ≥ 0", value)
}

/// A finite number > 0.
pub(super) fn positive(name: &str, value: f64) -> Result<()> {
    require(value.is_finite() && value > 0.0, name, "a finite number > 0", value)
}

/// A number in `[0, 1)`.
pub(super) fn fraction(name: &str, value: f64) -> Result<()> {
    require((0.0..1.0).contains(&value), name, "a number in [0, 1)", value)
}

fn require(holds: bool, name: &str, expected: &str, found: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::parameter(name, expected, found)) }
}
