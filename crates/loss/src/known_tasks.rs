//! Whose numbers a method keeps by row.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

/// The tasks of a method that remembers something of each, in row order; none before its first step.
///
/// Rows of as many other tasks would pass for theirs without it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnownTasks(Vec<String>);

impl KnownTasks {
    /// Takes the tasks in at the first step; refuses others later.
    ///
    /// # Errors
    /// [`Error::Shape`] for the matrix `what` with rows of other tasks.
    pub(crate) fn require<'a>(&mut self, what: &str, tasks: impl Iterator<Item = &'a str>) -> Result<()> {
        let found: Vec<&str> = tasks.collect();
        if self.0.is_empty() {
            self.0.extend(found.iter().map(|task| task.to_string()));
        }
        if found == self.0 {
            return Ok(());
        }
        let expected = format!("one row for each of {}, as before", self.0.join(", "));
        let what = format!("{what} of the tasks {}", found.join(", "));
        Err(Error::shape(what, expected, &[found.len()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_other_tasks_are_refused() {
        let mut known = KnownTasks::default();
        known.require("Gramian", ["a", "b"].into_iter()).unwrap();
        known.require("Gramian", ["a", "b"].into_iter()).unwrap();
        let error = known.require("Gramian", ["b", "c"].into_iter()).unwrap_err().to_string();
        assert_eq!(
            error,
            "Gramian of the tasks b, c: expected shape one row for each of a, b, as before, found [2]"
        );
    }
}
