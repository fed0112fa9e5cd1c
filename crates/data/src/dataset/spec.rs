//! What is known about all samples of a data set.

use rayon::prelude::*;
use taskweave_kernels::{Error, Named, Result};

use crate::{Dataset, Sample};

/// What a trainer has to know of a data set: it mirrors [`Sample`].
///
/// # Example
/// ```
/// use taskweave_data::{Dataset, Shapes, ShapesConfig};
/// let shapes = Shapes::new(ShapesConfig::default())?;
/// assert_eq!(shapes.spec().inputs["image"], [3, 32, 32]);
/// assert_eq!(shapes.spec().targets["class"].classes()?.len(), 10);
/// assert_eq!(shapes.spec().targets["mask"].classes()?, ["background", "foreground"]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The shape of one sample's input, by view.
    pub inputs: Named<Vec<usize>>,
    /// What the labels are, by task.
    pub targets: Named<Labels>,
}

impl Spec {
    /// An `image` of size `[channels, height, width]` with a `class`.
    pub(crate) fn of_images(size: [usize; 3], classes: Vec<String>) -> Result<Self> {
        Ok(Self {
            inputs: Named::new([("image", size.to_vec())])?,
            targets: Named::new([("class", Labels::Class(classes))])?,
        })
    }
}

/// What the labels of a task are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// One of the named classes per sample, u32 `[]`.
    Class(Vec<String>),
    /// One of the named classes per pixel, u32 `[height, width]`.
    Mask(Vec<String>),
    /// Numbers; this is the shape of one sample's, such as `[n]` for a head with n outputs.
    Value(Vec<usize>),
}

impl Labels {
    /// The names of the classes.
    ///
    /// # Errors
    /// [`Error::Parameter`] where the labels are numbers.
    pub fn classes(&self) -> Result<&[String]> {
        match self {
            Self::Class(names) | Self::Mask(names) => Ok(names),
            Self::Value(shape) => {
                Err(Error::parameter("labels", "classes", format!("values of shape {shape:?}")))
            }
        }
    }

    /// The regions of a two-region mask.
    pub(crate) fn two_regions() -> Self {
        Self::Mask(vec!["background".into(), "foreground".into()])
    }
}

/// Which part of a data set that comes divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To learn from.
    Train,
    /// To be judged by.
    Test,
}

/// The class of every sample for `task`, in order of the index; what a stratified split asks for.
/// Cost: reads every sample once, on all cores.
///
/// # Errors
/// [`Error::Unknown`] for a sample without that task, and those of the data set.
///
/// # Example
/// ```
/// use taskweave_data::{Shapes, ShapesConfig, dataset::class_labels};
/// let shapes = Shapes::new(ShapesConfig { len: 20, ..ShapesConfig::default() })?;
/// let labels = class_labels(&shapes, "class")?;
/// assert_eq!(labels.iter().filter(|&&class| class == 3).count(), 2); // Shapes is balanced
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn class_labels(dataset: &dyn Dataset, task: &str) -> Result<Vec<u32>> {
    let class = |sample: Sample| Ok(sample.targets.require("task", task)?.value().to_scalar::<u32>()?);
    (0..dataset.len()).into_par_iter().map(|index| class(dataset.get(index)?)).collect()
}

/// Refuses an index that a data set of `len` samples does not have.
pub(crate) fn check_index(index: usize, len: usize) -> Result<()> {
    if index < len {
        return Ok(());
    }
    Err(Error::parameter("index of a sample", format!("a number below {len}"), index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_classes() {
        assert!(Labels::Value(vec![3]).classes().is_err());
        assert_eq!(Labels::two_regions().classes().unwrap().len(), 2);
    }
}
