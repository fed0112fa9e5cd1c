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
pub struct Constant;

impl Rate for Constant {
    fn rate(&self, base: f64, _time: u64) -> f64 {
        base
    }
}

stateless!(Constant);
