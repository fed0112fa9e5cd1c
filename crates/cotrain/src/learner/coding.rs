//! Labels of any coding as classes 0, 1, 2, …

use taskweave_kernels::{Error, Result};

/// Labels of any type as classes: numbered in the order in which they first appear, so that the coding makes no
/// difference to what is learned.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Coding;
/// let (coding, classes) = Coding::of(&[Some("yes"), None, Some("no"), Some("yes")]);
/// assert_eq!(classes, [Some(0), None, Some(1), Some(0)]);
/// assert_eq!(coding.label(1)?, &"no");
/// assert_eq!(Coding::of(&[Some(1), None, Some(-1), Some(1)]).1, classes);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coding<T> {
    labels: Vec<T>,
}

impl<T: Clone + PartialEq> Coding<T> {
    /// The coding of some labels, and their classes; nothing stands for a label that is not known.
    pub fn of(labels: &[Option<T>]) -> (Self, Vec<Option<usize>>) {
        let mut coding = Self { labels: Vec::new() };
        let classes = labels.iter().map(|label| label.as_ref().map(|label| coding.add(label))).collect();
        (coding, classes)
    }

    /// The label of a class.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a class that there is not.
    pub fn label(&self, class: usize) -> Result<&T> {
        let expected = || Error::parameter("class", format!("one below {}", self.labels.len()), class);
        self.labels.get(class).ok_or_else(expected)
    }

    /// The class of a label, where it is known.
    pub fn class(&self, label: &T) -> Option<usize> {
        self.labels.iter().position(|known| known == label)
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether no label was known.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn add(&mut self, label: &T) -> usize {
        self.class(label).unwrap_or_else(|| {
            self.labels.push(label.clone());
            self.labels.len() - 1
        })
    }
}
