//! The ranges that parameters of methods are checked against.

use taskweave_kernels::{Error, Result};

/// A finite number > 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<()> {
    check(value.is_finite() && value > 0.0, name, "a finite number > 0", value)
}

/// A finite number ≥ 0.
pub(crate) fn not_negative(name: &str, value: f64) -> Result<()> {
    check(value.is_finite() && value >= 0.0, name, "a finite number ≥ 0", value)
}

/// A number in `[0, 1]`.
pub(crate) fn fraction(name: &str, value: f64) -> Result<()> {
    check((0.0..=1.0).contains(&value), name, "a number in [0, 1]", value)
}

/// A number in `[0, 1)`.
pub(crate) fn below_one(name: &str, value: f64) -> Result<()> {
    check((0.0..1.0).contains(&value), name, "a number in [0, 1)", value)
}

/// A number in `(0, 1)`.
pub(crate) fn inside(name: &str, value: f64) -> Result<()> {
    check(value > 0.0 && value < 1.0, name, "a number in (0, 1)", value)
}

/// A whole number ≥ `least`.
pub(crate) fn at_least(name: &str, least: u64, value: u64) -> Result<()> {
    if value < least {
        return Err(Error::parameter(name, format!("a whole number ≥ {least}"), value));
    }
    Ok(())
}

/// Whole numbers of which each is larger than the one before.
pub(crate) fn increasing(name: &str, values: &[u64]) -> Result<()> {
    if values.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(Error::parameter(name, "strictly increasing whole numbers", format!("{values:?}")))
}

/// At least two networks, each named once.
pub(crate) fn several(members: &[String]) -> Result<()> {
    if members.len() < 2 {
        return Err(Error::parameter("networks", "at least two", members.len()));
    }
    distinct(members)
}

/// Each network named once.
pub(crate) fn distinct(members: &[String]) -> Result<()> {
    match members.iter().enumerate().find(|(i, member)| members[..*i].contains(member)) {
        Some((_, twice)) => Err(Error::parameter("networks", "different ones", format!("`{twice}` twice"))),
        None => Ok(()),
    }
}

fn check(holds: bool, name: &str, expected: &str, found: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::parameter(name, expected, found)) }
}
