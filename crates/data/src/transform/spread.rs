//! Spread: the label of one task becomes the label of several.

use taskweave_kernels::{Named, Result, Rng};

use crate::{Sample, Transform};

/// Gives the label of a task to others in its place: to the same task of each of several networks.
///
/// Labels of tasks that are not named stay as they are; a task that the sample lacks stays missing.
///
/// # Example
/// ```
/// use taskweave_data::{Label, Sample, Spread, Transform};
/// use taskweave_kernels::{Named, Rng};
/// let sample = Sample { inputs: Named::default(), targets: Named::new([("class", Label::class(4)?)])? };
/// let spread = Spread::new(Named::new([("class", vec!["class@a".into(), "class@b".into()])])?);
/// let sample = spread.apply(sample, &mut Rng::new(0))?;
/// assert_eq!(sample.targets.names().collect::<Vec<_>>(), ["class@a", "class@b"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Spread {
    to: Named<Vec<String>>,
}

impl Spread {
    /// By task, the tasks that get its label.
    pub fn new(to: Named<Vec<String>>) -> Self {
        Self { to }
    }
}

impl Transform for Spread {
    fn apply(&self, mut sample: Sample, _: &mut Rng) -> Result<Sample> {
        for (task, names) in self.to.iter() {
            let Some(label) = sample.targets.remove(task) else { continue };
            for name in names {
                sample.targets.insert(name.clone(), label.clone())?;
            }
        }
        Ok(sample)
    }
}
