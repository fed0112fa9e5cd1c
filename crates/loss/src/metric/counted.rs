//! A confusion matrix and the label that it leaves out: what the metrics of classes share.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Target};

use super::{Confusion, observation};

/// Counts of true and predicted classes. Its configuration is saved, its counts are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub(super) struct Counted {
    pub(super) confusion: Confusion,
    pub(super) ignore_index: Option<i64>,
}

impl Counted {
    pub(super) fn new(classes: usize) -> Result<Self> {
        Ok(Self { confusion: Confusion::new(classes)?, ignore_index: None })
    }

    /// Counts a batch, or nothing of it where it has an error; `metric` names the metric there.
    pub(super) fn update(&mut self, metric: &str, prediction: &Tensor, target: &Target) -> Result<()> {
        let classes = (self.confusion.classes(), self.ignore_index);
        for (truth, predicted) in observation::classes(metric, prediction, target, classes)? {
            self.confusion.count(truth, predicted);
        }
        Ok(())
    }

    /// The counts, of which there is at least one.
    pub(super) fn seen(&self, metric: &str) -> Result<&Confusion> {
        match self.confusion.total() {
            0 => Err(observation::nothing_seen(metric)),
            _ => Ok(&self.confusion),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    classes: usize,
    ignore_index: Option<i64>,
}

impl TryFrom<Fields> for Counted {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self { ignore_index: fields.ignore_index, ..Self::new(fields.classes)? })
    }
}

impl From<Counted> for Fields {
    fn from(counted: Counted) -> Self {
        Self { classes: counted.confusion.classes(), ignore_index: counted.ignore_index }
    }
}
