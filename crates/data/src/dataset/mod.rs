//! Data sets: samples by index, and what is known about all of them.
//!
//! | type | samples | inputs | tasks |
//! | --- | --- | --- | --- |
//! | [`Shapes`] | drawn from (seed, index) | `image` | `class`, `mask` |
//! | [`ImageFolder`] | `root/<class>/*.{png,jpg,jpeg}` | `image` | `class` |
//! | [`Cifar10`] | binary batches | `image` | `class` |
//! | [`Mnist`] | idx files, plain or .gz | `image` | `class` |
//! | [`MultiMnist`] | pairs of another data set's, by (seed, index) | `image` | `left`, `right` |
//! | [`School`] | a safetensors file, plain or .gz | `pupil` | one per school, one of them per sample |
//! | [`Images`] | bytes in memory | `image` | `class` |
//! | [`TwoMoons`] | drawn from (seed, index) | `left`, `right` | `class` |
//! | [`WebkbCourse`] | word counts from safetensors | `page`, `links` | `class` |
//! | [`Mfeat`] | csv files, plain or .gz | `fou`, `fac`, … | `digit` |
//! | [`Memory`] | tensors in memory | any | any |
//! | [`Cache`] | those of another data set, kept in memory | the same | the same |
//! | [`WithMask`] | those of an image data set | the same | the same and `mask` |
//! | [`LabelNoise`] | those of another data set | the same | the same, some classes wrong on purpose |
//! | [`MissingLabels`] | those of another data set | the same | the same, some labels hidden |
//! | [`Subset`] | some of another data set's | the same | the same |
//! | [`SelectTasks`] | those of another data set | the same | some of them |

mod bytes;
mod cache;
mod cifar10;
mod folder;
mod idx;
mod images;
mod label_noise;
mod mask;
mod memory;
mod mfeat;
mod missing_labels;
mod mnist;
mod multi_mnist;
mod otsu;
mod scene;
mod school;
mod select_tasks;
mod shapes;
mod silhouette;
mod spec;
mod subset;
mod texture;
mod two_moons;
mod webkb_course;

use std::sync::Arc;

use taskweave_kernels::Result;

use crate::Sample;

pub use cache::Cache;
pub use cifar10::Cifar10;
pub use folder::{ImageFolder, read_image};
pub use images::Images;
pub use label_noise::{Corruption, LabelNoise};
pub use mask::WithMask;
pub use memory::Memory;
pub use mfeat::Mfeat;
pub use missing_labels::MissingLabels;
pub use mnist::Mnist;
pub use multi_mnist::{MultiMnist, MultiMnistConfig};
pub use school::School;
pub use select_tasks::SelectTasks;
pub use shapes::{Shapes, ShapesConfig};
pub use spec::{Labels, Part, Spec, class_labels};
pub use subset::Subset;
pub use two_moons::{TwoMoons, TwoMoonsConfig};
pub use webkb_course::WebkbCourse;

pub(crate) use otsu::luminance;
pub(crate) use spec::check_index;

/// Samples by index. Reading is by `&self` and from any thread; equal indices give equal samples.
///
/// # Example
/// A data set of one's own: whether a number is odd.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_data::{Dataset, Label, Labels, Sample, Spec};
/// use taskweave_kernels::{Named, Result};
///
/// struct Parity {
///     spec: Spec,
/// }
///
/// impl Dataset for Parity {
///     fn spec(&self) -> &Spec {
///         &self.spec
///     }
///     fn len(&self) -> usize {
///         100
///     }
///     fn get(&self, index: usize) -> Result<Sample> {
///         let x = Tensor::new(&[index as f32], &Device::Cpu)?;
///         let label = Label::class((index % 2) as u32)?;
///         Ok(Sample { inputs: Named::new([("x", x)])?, targets: Named::new([("parity", label)])? })
///     }
/// }
///
/// let spec = Spec {
///     inputs: Named::new([("x", vec![1])])?,
///     targets: Named::new([("parity", Labels::Class(vec!["even".into(), "odd".into()]))])?,
/// };
/// let data = Parity { spec };
/// assert_eq!(data.get(7)?.targets["parity"].value().to_scalar::<u32>()?, 1);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Dataset: Send + Sync {
    /// The shape of every input and what the labels of every task are.
    fn spec(&self) -> &Spec;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample at `index`, which is below [`Dataset::len`].
    ///
    /// # Errors
    /// Those of the source; an index out of range is one.
    fn get(&self, index: usize) -> Result<Sample>;
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    fn spec(&self) -> &Spec {
        (**self).spec()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn get(&self, index: usize) -> Result<Sample> {
        (**self).get(index)
    }
}
