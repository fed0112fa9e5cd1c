//! Metrics of a dense classification: one label per element.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};

use super::counted::Counted;
use super::{Confusion, Direction, Metric};

/// Overlap of predicted and true regions, over all elements of all samples.
///
/// Values: `mean_iou` (primary), `mean_dice`, `pixel_accuracy`. Means over classes leave out classes that never
/// occur, neither as truth nor as prediction.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `classes` | required | ≥ 2 | number of classes |
/// | `ignore_index` | none | any | label of elements that do not count, such as 255 for a void region |
///
/// # Shapes
/// Logits (or any scores) `[batch, classes, …]`; labels `[batch, …]`, u32, i64 or u8. Of equal logits the first
/// class is predicted.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Metric, metric::Segmentation};
/// let mut metric = Segmentation::new(2)?;
/// let logits = Tensor::new(&[[[1f32, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]], &Device::Cpu)?; // 0 1 1 1
/// metric.update(&logits, &Target::new(Tensor::new(&[[0u32, 0, 1, 1]], &Device::Cpu)?)?)?;
/// assert_eq!(metric.values()?["pixel_accuracy"], 0.75);
/// assert_eq!(metric.values()?["mean_iou"], (1.0 / 2.0 + 2.0 / 3.0) / 2.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Segmentation(Counted);

impl Segmentation {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] for less than two classes.
    pub fn new(classes: usize) -> Result<Self> {
        Counted::new(classes).map(Self)
    }

    /// Leaves out elements with this label.
    pub fn with_ignore_index(mut self, label: i64) -> Self {
        self.0.ignore_index = Some(label);
        self
    }

    /// The counts so far.
    pub fn confusion(&self) -> &Confusion {
        &self.0.confusion
    }
}

impl Metric for Segmentation {
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()> {
        if prediction.rank() < 3 {
            return Err(Error::shape("logits", "[batch, classes, …] of rank 3 or more", prediction.dims()));
        }
        self.0.update("segmentation", prediction, target)
    }

    fn values(&self) -> Result<Named<f64>> {
        let confusion = self.0.seen("segmentation")?;
        Named::new([
            ("mean_iou", confusion.mean_iou()),
            ("mean_dice", confusion.mean_dice()),
            ("pixel_accuracy", confusion.accuracy()),
        ])
    }

    fn primary(&self) -> &'static str {
        "mean_iou"
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn reset(&mut self) {
        self.0.confusion.reset();
    }
}
