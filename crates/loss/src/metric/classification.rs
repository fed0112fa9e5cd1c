//! Metrics of a classification with one label per sample.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};

use super::counted::Counted;
use super::{Confusion, Direction, Metric};

/// Accuracy and its relatives, from a confusion matrix.
///
/// Values: `accuracy` (primary), `balanced_accuracy`, `macro_f1`, `micro_f1`, `weighted_f1`, `mcc`,
/// `cohen_kappa`. Means over classes leave out classes that never occur; MCC and kappa are 0 where truth or
/// prediction is constant.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `classes` | required | ≥ 2 | number of classes |
/// | `ignore_index` | none | any | label of samples that do not count |
///
/// # Shapes
/// Logits (or any scores) `[batch, classes]`; labels `[batch]`, u32, i64 or u8. Of equal logits the first class
/// is predicted.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Metric, metric::Classification};
/// let mut metric = Classification::new(2)?;
/// let logits = Tensor::new(&[[2f32, 1.0], [0.0, 1.0], [3.0, 0.0], [1.0, 0.0]], &Device::Cpu)?;
/// metric.update(&logits, &Target::new(Tensor::new(&[0u32, 1, 0, 1], &Device::Cpu)?)?)?;
/// assert_eq!(metric.values()?["accuracy"], 0.75);
/// assert_eq!(metric.confusion().rows().collect::<Vec<_>>(), [[2, 0], [1, 1]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Classification(Counted);

impl Classification {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] for less than two classes.
    pub fn new(classes: usize) -> Result<Self> {
        Counted::new(classes).map(Self)
    }

    /// Leaves out samples with this label.
    pub fn with_ignore_index(mut self, label: i64) -> Self {
        self.0.ignore_index = Some(label);
        self
    }

    /// The counts so far.
    pub fn confusion(&self) -> &Confusion {
        &self.0.confusion
    }
}

impl Metric for Classification {
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()> {
        if prediction.rank() != 2 {
            return Err(Error::shape("logits", "[batch, classes]", prediction.dims()));
        }
        self.0.update("classification", prediction, target)
    }

    fn values(&self) -> Result<Named<f64>> {
        let confusion = self.0.seen("classification")?;
        Named::new([
            ("accuracy", confusion.accuracy()),
            ("balanced_accuracy", confusion.balanced_accuracy()),
            ("macro_f1", confusion.macro_f1()),
            ("micro_f1", confusion.micro_f1()),
            ("weighted_f1", confusion.weighted_f1()),
            ("mcc", confusion.mcc()),
            ("cohen_kappa", confusion.cohen_kappa()),
        ])
    }

    fn primary(&self) -> &'static str {
        "accuracy"
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn reset(&mut self) {
        self.0.confusion.reset();
    }
}
