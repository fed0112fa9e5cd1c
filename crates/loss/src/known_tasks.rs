//! Whose numbers a method keeps.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

/// The tasks of a method that remembers something of each; none before its first step.
///
/// Rows of as many other tasks would pass for theirs without it. Where all tasks have been named beforehand, a step may lack some
/// of them; else every step has those of the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnownTasks {
    tasks: Vec<String>,
    named: bool,
}

impl KnownTasks {
    /// All tasks that there are, in any order; those that are known keep their place.
    ///
    /// # Errors
    /// [`Error::Shape`] where others are known.
    pub(crate) fn name(&mut self, tasks: &[String]) -> Result<()> {
        if self.tasks.is_empty() {
            self.tasks = tasks.to_vec();
        }
        let same = |a: &[String], b: &[String]| a.iter().all(|task| b.contains(task));
        if !same(&self.tasks, tasks) || !same(tasks, &self.tasks) {
            return Err(self.others("state", tasks.iter().map(String::as_str)));
        }
        self.named = true;
        Ok(())
    }

    /// Those of a saved state in the place of these.
    ///
    /// # Errors
    /// [`Error::Shape`] where these were named and are others.
    pub(crate) fn restored(&self, mut saved: Self) -> Result<Self> {
        if self.named {
            saved.name(&self.tasks)?;
        }
        Ok(saved)
    }

    /// Their names, in their places.
    pub(crate) fn names(&self) -> &[String] {
        &self.tasks
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The tasks as they are known after a step with these rows, and the place of each row among them.
    ///
    /// # Errors
    /// [`Error::Shape`] for the matrix `what` with rows of other tasks.
    pub(crate) fn places<'a>(
        &self,
        what: &str,
        tasks: impl Iterator<Item = &'a str>,
    ) -> Result<(Self, Vec<usize>)> {
        let found: Vec<&str> = tasks.collect();
        let mut known = self.clone();
        if known.tasks.is_empty() {
            known.tasks = found.iter().map(|task| task.to_string()).collect();
        }
        if found == known.tasks {
            return Ok((known, (0..found.len()).collect()));
        }
        let place = |task: &&str| known.tasks.iter().position(|known| known == task);
        match found.iter().map(place).collect::<Option<Vec<_>>>().filter(|_| known.named) {
            Some(places) => Ok((known, places)),
            None => Err(self.others(what, found.into_iter())),
        }
    }

    fn others<'a>(&self, what: &str, found: impl Iterator<Item = &'a str>) -> Error {
        let found: Vec<&str> = found.collect();
        let each = if self.named { "one row at most" } else { "one row" };
        let expected = format!("{each} for each of {}, as before", self.tasks.join(", "));
        Error::shape(format!("{what} of the tasks {}", found.join(", ")), expected, &[found.len()])
    }
}

/// The numbers at these places.
pub(crate) fn at<T: Clone>(numbers: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|place| numbers[*place].clone()).collect()
}

/// Puts numbers at these places.
pub(crate) fn put<T>(numbers: &mut [T], places: &[usize], new: impl IntoIterator<Item = T>) {
    places.iter().zip(new).for_each(|(place, new)| numbers[*place] = new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_other_tasks_are_refused() {
        let (known, places) = KnownTasks::default().places("Gramian", ["a", "b"].into_iter()).unwrap();
        assert_eq!(places, [0, 1]);
        assert_eq!(known.places("Gramian", ["a", "b"].into_iter()).unwrap(), (known.clone(), vec![0, 1]));
        let error = known.places("Gramian", ["b", "c"].into_iter()).unwrap_err().to_string();
        assert_eq!(
            error,
            "Gramian of the tasks b, c: expected shape one row for each of a, b, as before, found [2]"
        );
        assert!(known.places("Gramian", ["b"].into_iter()).is_err());
    }

    #[test]
    fn tasks_that_are_named_may_be_missing_and_come_in_any_order() {
        let tasks = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let mut known = KnownTasks::default();
        known.name(&tasks(&["a", "b", "c"])).unwrap();
        assert_eq!(known.places("Gramian", ["c", "a"].into_iter()).unwrap().1, [2, 0]);
        assert!(known.places("Gramian", ["a", "d"].into_iter()).is_err());
        known.name(&tasks(&["c", "b", "a"])).unwrap();
        assert_eq!(known.places("Gramian", ["c"].into_iter()).unwrap().1, [2]);
        assert!(known.name(&tasks(&["a", "b"])).is_err());
        assert!(known.name(&tasks(&["a", "b", "d"])).is_err());
        assert!(known.name(&tasks(&["a", "a", "b"])).is_err());
        // What was named stays so after a restore, and a state of others is refused.
        let of = |names: &[&str]| KnownTasks::default().places("Gramian", names.iter().copied()).unwrap().0;
        let restored = known.restored(of(&["b", "c", "a"])).unwrap();
        assert_eq!(restored.places("Gramian", ["a", "b"].into_iter()).unwrap().1, [2, 0]);
        assert!(known.restored(of(&["b", "c"])).is_err() && known.restored(KnownTasks::default()).is_ok());
    }
}
