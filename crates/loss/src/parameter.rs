//! The ranges that parameters are checked against, at construction.

use taskweave_kernels::{Error, Result};

/// A finite number > 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64> {
    check(name, value, "a finite number > 0", value.is_finite() && value > 0.0)
}

/// A finite number ≥ 0.
pub(crate) fn non_negative(name: &str, value: f64) -> Result<f64> {
    check(name, value, "a finite number ≥ 0", value.is_finite() && value >= 0.0)
}

/// A number in [0, 1].
pub(crate) fn fraction(name: &str, value: f64) -> Result<f64> {
    check(name, value, "a number in [0, 1]", (0.0..=1.0).contains(&value))
}

/// A number in [0, 1).
pub(crate) fn below_one(name: &str, value: f64) -> Result<f64> {
    check(name, value, "a number in [0, 1)", (0.0..1.0).contains(&value))
}

/// A finite number.
pub(crate) fn finite(name: &str, value: f64) -> Result<f64> {
    check(name, value, "a finite number", value.is_finite())
}

fn check(name: &str, value: f64, expected: &str, holds: bool) -> Result<f64> {
    if holds { Ok(value) } else { Err(Error::parameter(name, expected, value)) }
}
