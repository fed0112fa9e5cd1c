//! Methods without parameters in a config file: one that is given a parameter names it.

use serde::{Deserialize, Serialize};

/// What is read and written of a method without parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// Reads and writes a unit struct as [`NoParameters`]. As itself it would say of a parameter only that it expects no map.
macro_rules! no_parameters {
    ($method:ident) => {
        impl From<$crate::no_parameters::NoParameters> for $method {
            fn from(_: $crate::no_parameters::NoParameters) -> Self {
                Self
            }
        }

        impl From<$method> for $crate::no_parameters::NoParameters {
            fn from(_: $method) -> Self {
                Self {}
            }
        }
    };
}

pub(crate) use no_parameters;
