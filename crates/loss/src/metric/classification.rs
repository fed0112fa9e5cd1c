//! Metrics of a classification with one label per sample.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};

use super::{Confusion, Direction, Metric, observation};

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
#[serde(try_from = "Fields", into = "Fields")]
pub struct Classification {
    confusion: Confusion,
    ignore_index: Option<i64>,
}

impl Classification {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] for less than two classes.
    pub fn new(classes: usize) -> Result<Self> {
        Ok(Self { confusion: Confusion::new(classes)?, ignore_index: None })
    }

    /// Leaves out samples with this label.
    pub fn with_ignore_index(mut self, label: i64) -> Self {
        self.ignore_index = Some(label);
        self
    }

    /// The counts so far.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }
}

impl Metric for Classification {
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()> {
        if prediction.rank() != 2 {
            return Err(Error::shape("logits", "[batch, classes]", prediction.dims()));
        }
        let classes = (self.confusion.classes(), self.ignore_index);
        for (truth, predicted) in observation::classes("classification", prediction, target, classes)? {
            self.confusion.count(truth, predicted);
        }
        Ok(())
    }

    fn values(&self) -> Result<Named<f64>> {
        if self.confusion.total() == 0 {
            return Err(observation::nothing_seen("classification"));
        }
        Named::new([
            ("accuracy", self.confusion.accuracy()),
            ("balanced_accuracy", self.confusion.balanced_accuracy()),
            ("macro_f1", self.confusion.macro_f1()),
            ("micro_f1", self.confusion.micro_f1()),
            ("weighted_f1", self.confusion.weighted_f1()),
            ("mcc", self.confusion.mcc()),
            ("cohen_kappa", self.confusion.cohen_kappa()),
        ])
    }

    fn primary(&self) -> &'static str {
        "accuracy"
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn reset(&mut self) {
        self.confusion.reset();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    classes: usize,
    ignore_index: Option<i64>,
}

impl TryFrom<Fields> for Classification {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self { ignore_index: fields.ignore_index, ..Self::new(fields.classes)? })
    }
}

impl From<Classification> for Fields {
    fn from(metric: Classification) -> Self {
        Self { classes: metric.confusion.classes(), ignore_index: metric.ignore_index }
    }
}
