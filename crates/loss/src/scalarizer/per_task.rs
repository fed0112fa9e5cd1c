//! One number per task in a configuration: by name, or as a list in the order of the tasks.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

/// One number per task.
///
/// A list stands for exactly the tasks that it is used for, in their order; names also fit a batch that lacks a task. In a file
/// names are pairs with their numbers, or a map.
///
/// # Example
/// ```
/// use taskweave_kernels::Named;
/// use taskweave_loss::scalarizer::PerTask;
/// let tasks = Named::new([("class", ()), ("mask", ())])?;
/// let listed: PerTask = serde_json::from_str("[1.0, 10.0]").unwrap();
/// let named: PerTask = serde_json::from_str(r#"[["mask", 10.0], ["class", 1.0]]"#).unwrap();
/// let mapped: PerTask = serde_json::from_str(r#"{"mask": 10.0, "class": 1.0}"#).unwrap();
/// assert_eq!(listed.of("weights", &tasks)?, named.of("weights", &tasks)?);
/// assert_eq!(listed.of("weights", &tasks)?, mapped.of("weights", &tasks)?);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", untagged)]
pub enum PerTask {
    /// In the order of the tasks.
    Listed(Vec<f64>),
    /// By the names of the tasks.
    Named(Named<f64>),
}

impl PerTask {
    /// The number of every task; `what` names them in the error.
    ///
    /// # Errors
    /// [`Error::Shape`] for a list of another length than the tasks, [`Error::Unknown`] for a task without a number.
    pub fn of<T>(&self, what: &str, tasks: &Named<T>) -> Result<Named<f64>> {
        match self {
            Self::Listed(numbers) if numbers.len() == tasks.len() => {
                Named::new(tasks.names().map(String::from).zip(numbers.iter().copied()))
            }
            Self::Listed(numbers) => {
                Err(Error::shape(what, format!("[{}], one per task", tasks.len()), &[numbers.len()]))
            }
            Self::Named(numbers) => tasks.try_map(|task, _| numbers.require("task", task).copied()),
        }
    }

    /// The same numbers, each checked under the name of its task or its place.
    pub(crate) fn checked(self, what: &str, check: impl Fn(&str, f64) -> Result<f64>) -> Result<Self> {
        match &self {
            Self::Listed(numbers) => {
                let of = |(i, number): (usize, &f64)| check(&format!("{what}[{i}]"), *number).map(drop);
                numbers.iter().enumerate().try_for_each(of)?;
            }
            Self::Named(numbers) => {
                let of = |(task, number): (&str, &f64)| {
                    check(&format!("{what} of task `{task}`"), *number).map(drop)
                };
                numbers.iter().try_for_each(of)?;
            }
        }
        Ok(self)
    }
}

/// How it may be written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected one number per task: a list, pairs of a task and its number, or a map"
)]
enum Written {
    Listed(Vec<f64>),
    Named(Vec<(String, f64)>),
    Mapped(Pairs),
}

/// What a map holds, also where a task comes twice.
struct Pairs(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a map of tasks to numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        from.deserialize_map(Entries)
    }
}

impl TryFrom<Written> for PerTask {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Ok(match written {
            Written::Listed(numbers) => Self::Listed(numbers),
            Written::Named(numbers) => Self::Named(Named::new(numbers)?),
            Written::Mapped(Pairs(numbers)) => Self::Named(Named::new(numbers)?),
        })
    }
}

impl From<Named<f64>> for PerTask {
    fn from(numbers: Named<f64>) -> Self {
        Self::Named(numbers)
    }
}

impl From<Vec<f64>> for PerTask {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Listed(numbers)
    }
}
