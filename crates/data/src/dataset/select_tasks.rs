//! SelectTasks: only some tasks of another data set, for models that do not know the others.

use taskweave_kernels::{Named, Result};

use crate::{Dataset, Sample, Spec};

/// Only some tasks of another data set.
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, SelectTasks, Shapes, ShapesConfig};
/// let classes = SelectTasks::new(Shapes::new(ShapesConfig::default())?, &["class"])?;
/// assert_eq!(classes.spec().targets.names().collect::<Vec<_>>(), ["class"]);
/// assert!(!classes.get(0)?.targets.contains("mask"));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SelectTasks<D> {
    dataset: D,
    spec: Spec,
}

impl<D: Dataset> SelectTasks<D> {
    /// The tasks of `dataset` that are called `tasks`, in that order.
    ///
    /// # Errors
    /// [`taskweave_kernels::Error::Unknown`] for a task that the data set does not have, and
    /// [`taskweave_kernels::Error::Name`] for one that comes twice.
    pub fn new(dataset: D, tasks: &[&str]) -> Result<Self> {
        let mut targets = Named::default();
        for task in tasks {
            targets.insert(*task, dataset.spec().targets.require("task", task)?.clone())?;
        }
        let spec = Spec { inputs: dataset.spec().inputs.clone(), targets };
        Ok(Self { dataset, spec })
    }
}

impl<D: Dataset> Dataset for SelectTasks<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let mut sample = self.dataset.get(index)?;
        let mut targets = Named::default();
        for task in self.spec.targets.names() {
            if let Some(label) = sample.targets.remove(task) {
                targets.insert(task, label)?;
            }
        }
        Ok(Sample { targets, ..sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Shapes, ShapesConfig};
    use taskweave_kernels::Error;

    #[test]
    fn tasks_come_in_the_order_asked_for_and_unknown_ones_are_named() {
        let shapes = Shapes::new(ShapesConfig::default()).unwrap();
        let both = SelectTasks::new(shapes.clone(), &["mask", "class"]).unwrap();
        assert_eq!(both.get(1).unwrap().targets.names().collect::<Vec<_>>(), ["mask", "class"]);
        assert!(matches!(SelectTasks::new(shapes.clone(), &["depth"]), Err(Error::Unknown { .. })));
        assert!(matches!(SelectTasks::new(shapes, &["mask", "mask"]), Err(Error::Name { .. })));
    }
}
