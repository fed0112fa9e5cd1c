//! Methods without parameters in a config file: one that is given a parameter names it.

use serde::{Deserialize, Serialize};

/// What is read and written of a method without parameters.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// Reads and writes a unit struct as [`NoParameters`]; derived, it would say of a parameter only that it expects no map.
macro_rules! no_parameters {
    ($method:ident) => {
        impl serde::Serialize for $method {
            fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&$crate::no_parameters::NoParameters {}, to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $method {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                let read = <$crate::no_parameters::NoParameters as serde::Deserialize>::deserialize(from);
                read.map(|_| Self)
            }
        }
    };
}

pub(crate) use no_parameters;
