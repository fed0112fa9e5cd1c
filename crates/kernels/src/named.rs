//! Ordered values with unique, non-empty names.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An ordered map with unique, non-empty names: tasks, views, learners and parameters alike.
///
/// The order is the order of insertion, and it is the row order of every matrix that is built from it.
///
/// # Example
/// ```
/// use taskweave_kernels::Named;
/// let weights = Named::new([("class", 1.0), ("mask", 2.0)])?;
/// assert_eq!(weights.names().collect::<Vec<_>>(), ["class", "mask"]);
/// assert_eq!(weights["mask"], 2.0);
/// assert!(Named::new([("class", 1.0), ("class", 2.0)]).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(String, T)>", into = "Vec<(String, T)>", bound(serialize = "T: Serialize + Clone"))]
pub struct Named<T> {
    items: IndexMap<String, T>,
}

impl<T> Named<T> {
    /// Collects named values in order.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is empty or comes twice.
    pub fn new<N: Into<String>>(items: impl IntoIterator<Item = (N, T)>) -> Result<Self> {
        let mut named = Self::default();
        for (name, value) in items {
            named.insert(name, value)?;
        }
        Ok(named)
    }

    /// Appends a value under a name that is not taken yet.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is empty or taken; the map is unchanged then.
    pub fn insert(&mut self, name: impl Into<String>, value: T) -> Result<()> {
        let name = name.into();
        if name.is_empty() || self.items.contains_key(&name) {
            return Err(Error::Name { name });
        }
        self.items.insert(name, value);
        Ok(())
    }

    /// The value called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.items.get(name)
    }

    /// The value called `name`, if there is one, for changing it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.get_mut(name)
    }

    /// The value called `name`; `what` says in the error what kind of thing was looked up.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the names that exist.
    pub fn require(&self, what: &str, name: &str) -> Result<&T> {
        self.get(name).ok_or_else(|| self.unknown(what, name))
    }

    /// The value called `name`, for changing it; `what` says in the error what was looked up.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the names that exist.
    pub fn require_mut(&mut self, what: &str, name: &str) -> Result<&mut T> {
        if !self.contains(name) {
            return Err(self.unknown(what, name));
        }
        self.items.get_mut(name).ok_or_else(|| Error::Name { name: name.into() })
    }

    /// Takes the value called `name` out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<T> {
        self.items.shift_remove(name)
    }

    /// Whether there is a value called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// The position of `name` in the order.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.items.get_index_of(name)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.items.keys().map(String::as_str)
    }

    /// The values in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.items.values()
    }

    /// The values in order, for changing them.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut T> {
        self.items.values_mut()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.items.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Names and values in order, for changing the values.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut T)> {
        self.items.iter_mut().map(|(name, value)| (name.as_str(), value))
    }

    /// The same names with new values.
    pub fn map<U>(&self, mut f: impl FnMut(&str, &T) -> U) -> Named<U> {
        Named { items: self.items.iter().map(|(name, value)| (name.clone(), f(name, value))).collect() }
    }

    /// The same names with new values, or the first error.
    ///
    /// # Errors
    /// Whatever `f` returns.
    pub fn try_map<U, E>(&self, mut f: impl FnMut(&str, &T) -> Result<U, E>) -> Result<Named<U>, E> {
        let items: Result<IndexMap<_, _>, E> =
            self.items.iter().map(|(name, value)| Ok((name.clone(), f(name, value)?))).collect();
        Ok(Named { items: items? })
    }

    /// The same values, ordered by name.
    pub fn sorted(mut self) -> Self {
        self.items.sort_keys();
        self
    }

    fn unknown(&self, what: &str, name: &str) -> Error {
        Error::Unknown {
            what: what.into(),
            name: name.into(),
            known: self.names().map(String::from).collect(),
        }
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { items: IndexMap::new() }
    }
}

impl<T> std::ops::Index<&str> for Named<T> {
    type Output = T;

    /// # Panics
    /// Where there is no such name, as for any map; [`Named::require`] returns an error instead.
    fn index(&self, name: &str) -> &T {
        &self.items[name]
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = (String, T);
    type IntoIter = indexmap::map::IntoIter<String, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<T> TryFrom<Vec<(String, T)>> for Named<T> {
    type Error = Error;

    fn try_from(items: Vec<(String, T)>) -> Result<Self> {
        Self::new(items)
    }
}

impl<T> From<Named<T>> for Vec<(String, T)> {
    fn from(named: Named<T>) -> Self {
        named.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_serialisation_and_removal() {
        let mut named = Named::new([("b", 1), ("a", 2), ("c", 3)]).unwrap();
        let text = serde_json::to_string(&named).unwrap();
        assert_eq!(serde_json::from_str::<Named<i32>>(&text).unwrap(), named);
        assert_eq!(named.remove("b"), Some(1));
        assert_eq!(named.names().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn bad_names_are_refused_also_when_read_from_a_file() {
        assert!(matches!(Named::new([("", 1)]), Err(Error::Name { .. })));
        assert!(serde_json::from_str::<Named<i32>>(r#"[["a",1],["a",2]]"#).is_err());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let named = Named::new([("class", 1), ("mask", 2)]).unwrap();
        let error = named.require("task", "depth").unwrap_err();
        assert_eq!(error.to_string(), "unknown task `depth`: known are [\"class\", \"mask\"]");
    }
}
