//! Constant: the base rate at all times.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::stateless::stateless;

/// The base rate at all times. It has no parameters.
///
/// # Example
/// ```
/// use taskweave_cotrain::rate::{Constant, Rate};
/// assert_eq!(Constant.rate(0.1, 7), 0.1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Constant;

impl Rate for Constant {
    fn rate(&self, base: f64, _time: u64) -> f64 {
        base
    }
}

stateless!(Constant);

/// None; read as such so that one that is given is named.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {}

impl From<Fields> for Constant {
    fn from(_: Fields) -> Self {
        Self
    }
}

impl From<Constant> for Fields {
    fn from(_: Constant) -> Self {
        Self {}
    }
}
