//! The ranges that parameters of methods are checked against.

use taskweave_kernels::{Error, Result};

/// A finite number > 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64> {
    check(value.is_finite() && value > 0.0, name, "a finite number > 0", value)
}

/// A finite number ≥ 0.
pub(crate) fn not_negative(name: &str, value: f64) -> Result<f64> {
    check(value.is_finite() && value >= 0.0, name, "a finite number ≥ 0", value)
}

/// A number in `[0, 1]`.
pub(crate) fn fraction(name: &str, value: f64) -> Result<f64> {
    check((0.0..=1.0).contains(&value), name, "a number in [0, 1]", value)
}

/// A number in `[0, 1)`.
pub(crate) fn below_one(name: &str, value: f64) -> Result<f64> {
    check((0.0..1.0).contains(&value), name, "a number in [0, 1)", value)
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

fn check(holds: bool, name: &str, expected: &str, found: f64) -> Result<f64> {
    if holds { Ok(found) } else { Err(Error::parameter(name, expected, found)) }
}
