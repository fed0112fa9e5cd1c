//! The one error type of the project.

use std::path::{Path, PathBuf};

use candle_core::DType;

/// What every fallible function of taskweave returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each case naming the thing, what was expected and what was found.
///
/// # Example
/// ```
/// use taskweave_kernels::Error;
/// let error = Error::parameter("learning rate", "a finite number > 0", -0.1);
/// assert_eq!(error.to_string(), "learning rate: expected a finite number > 0, found -0.1");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its documented range.
    #[error("{name}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        name: String,
        /// Its range.
        expected: String,
        /// The value given.
        found: String,
    },
    /// A tensor of the wrong shape.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        /// The tensor.
        what: String,
        /// The shape in symbols, such as `[batch, classes]`.
        expected: String,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A tensor of the wrong dtype.
    #[error("{what}: expected dtype {expected}, found {found:?}")]
    DType {
        /// The tensor.
        what: String,
        /// The dtypes accepted.
        expected: String,
        /// The dtype found.
        found: DType,
    },
    /// A name that does not exist where it was looked up.
    #[error("unknown {what} `{name}`: known are {known:?}")]
    Unknown {
        /// What was looked up: a task, a view, a parameter, …
        what: String,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A name that is empty or taken.
    #[error("name `{name}`: expected a non-empty name that is not taken yet")]
    Name {
        /// The name.
        name: String,
    },
    /// A NaN or an infinity, caught where it arose.
    #[error("{what} of `{name}` is not finite{}", at_step(*.step))]
    NonFinite {
        /// What is not finite: an input, a loss, a gradient, …
        what: String,
        /// The task, view or parameter that it belongs to.
        name: String,
        /// The step of the run, where there is one.
        step: Option<u64>,
    },
    /// A solver that stopped before it met its tolerance.
    #[error("{method} did not converge: residual {residual:e} after {iterations} iterations")]
    NotConverged {
        /// The method.
        method: String,
        /// Iterations done.
        iterations: usize,
        /// What is left of the optimality conditions.
        residual: f64,
    },
    /// A file whose content is not what it should be.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A saved state that does not fit what it is restored into.
    #[error("saved state of {what}: expected {expected}, found {found}")]
    State {
        /// What is being restored.
        what: String,
        /// What it needs.
        expected: String,
        /// What was saved.
        found: String,
    },
    /// An error of the tensor library.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// A parameter outside its documented range.
    pub fn parameter(
        name: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Parameter { name: name.into(), expected: expected.into(), found: found.to_string() }
    }

    /// A tensor of the wrong shape.
    pub fn shape(what: impl Into<String>, expected: impl Into<String>, found: &[usize]) -> Self {
        Self::Shape { what: what.into(), expected: expected.into(), found: found.to_vec() }
    }

    /// A tensor of the wrong dtype.
    pub fn dtype(what: impl Into<String>, expected: impl Into<String>, found: DType) -> Self {
        Self::DType { what: what.into(), expected: expected.into(), found }
    }

    /// A file whose content is not what it should be.
    pub fn data(path: impl AsRef<Path>, expected: impl Into<String>, found: impl std::fmt::Display) -> Self {
        Self::Data { path: path.as_ref().into(), expected: expected.into(), found: found.to_string() }
    }

    /// A file that could not be read or written.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().into(), source }
    }

    /// A saved state that does not fit.
    pub fn state(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::State { what: what.into(), expected: expected.into(), found: found.to_string() }
    }

    /// A NaN or an infinity in `what` of `name`.
    pub fn non_finite(what: impl Into<String>, name: impl Into<String>) -> Self {
        Self::NonFinite { what: what.into(), name: name.into(), step: None }
    }

    /// The same error, with the step it arose at where it is a [`Error::NonFinite`] without one.
    pub fn at(self, now: u64) -> Self {
        match self {
            Self::NonFinite { what, name, step: None } => Self::NonFinite { what, name, step: Some(now) },
            other => other,
        }
    }
}

impl From<Error> for candle_core::Error {
    /// For code that has to speak candle's error type, such as an implementation of its `Module`.
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(inner) => inner,
            other => Self::wrap(other),
        }
    }
}

fn at_step(step: Option<u64>) -> String {
    step.map(|s| format!(" at step {s}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_non_finite_value_learns_its_step_once() {
        let error = Error::non_finite("loss", "class").at(7).at(9);
        assert_eq!(error.to_string(), "loss of `class` is not finite at step 7");
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
