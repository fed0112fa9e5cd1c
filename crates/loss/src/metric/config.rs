//! A metric named in a config file.

use serde::{Deserialize, Serialize};

use super::{Binary, Classification, Metric, Regression, Segmentation};

/// Any metric of this crate by name, with its parameters.
///
/// # Example
/// ```
/// use taskweave_loss::MetricConfig;
/// let config: MetricConfig = serde_json::from_str(r#"{"name": "segmentation", "classes": 2}"#).unwrap();
/// assert_eq!(config.build().primary(), "mean_iou");
/// assert!(serde_json::from_str::<MetricConfig>(r#"{"name": "segmentation", "classes": 1}"#).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricConfig {
    /// [`Classification`].
    Classification(Classification),
    /// [`Segmentation`].
    Segmentation(Segmentation),
    /// [`Binary`].
    Binary(Binary),
    /// [`Regression`].
    Regression(Regression),
}

impl MetricConfig {
    /// The metric, with nothing seen yet.
    pub fn build(&self) -> Box<dyn Metric> {
        let mut metric: Box<dyn Metric> = match self.clone() {
            Self::Classification(metric) => Box::new(metric),
            Self::Segmentation(metric) => Box::new(metric),
            Self::Binary(metric) => Box::new(metric),
            Self::Regression(metric) => Box::new(metric),
        };
        metric.reset();
        metric
    }
}
