//! The configuration enum of a family of methods, made from one line per method.

/// Makes an enum of all methods of a family, read from `{"name": "…", parameters …}`, and its `build`.
///
/// What wraps other methods has a configuration type of its own, whose `build` can fail.
macro_rules! family {
    (
        $(#[$about:meta])*
        $config:ident of $family:ident {
            $($name:literal => $method:ident,)+
        }
        wrappers {
            $($wrapper_name:literal => $wrapper:ident($wrapped:ident),)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "name")]
        #[non_exhaustive]
        pub enum $config {
            $(
                #[doc = concat!("[`", stringify!($method), "`], called `", $name, "`.")]
                #[serde(rename = $name)]
                $method($method),
            )+
            $(
                #[doc = concat!("[`", stringify!($wrapper), "`], called `", $wrapper_name, "`.")]
                #[serde(rename = $wrapper_name)]
                $wrapper($wrapped),
            )+
        }

        impl $config {
            /// The names of all methods in a configuration.
            pub const NAMES: &'static [&'static str] = &[$($name,)+ $($wrapper_name,)+];

            /// The method in its initial state.
            ///
            /// # Errors
            /// [`Error::Parameter`](taskweave_kernels::Error::Parameter) for a parameter of a wrapper that is out of range;
            /// all others were checked when they were read.
            pub fn build(&self) -> taskweave_kernels::Result<Box<dyn $family>> {
                Ok(match self.clone() {
                    $(Self::$method(method) => Box::new(method),)+
                    $(Self::$wrapper(config) => Box::new(config.build()?),)+
                })
            }
        }
    };
    (
        $(#[$about:meta])*
        $config:ident of $family:ident {
            $($name:literal => $method:ident,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "name")]
        #[non_exhaustive]
        pub enum $config {
            $(
                #[doc = concat!("[`", stringify!($method), "`], called `", $name, "`.")]
                #[serde(rename = $name)]
                $method($method),
            )+
        }

        impl $config {
            /// The names of all methods in a configuration.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The method in its initial state.
            pub fn build(&self) -> Box<dyn $family> {
                match self.clone() {
                    $(Self::$method(method) => Box::new(method),)+
                }
            }
        }
    };
}

pub(crate) use family;
