//! Task heads: from features to predictions. Every head is a [`Stage`](crate::Stage).
//!
//! | head | features | prediction |
//! | --- | --- | --- |
//! | [`Classification`] | vector, or map (averaged) | logits `[batch, classes]` |
//! | [`Regression`] | vector, or map (averaged) | values `[batch, outputs]` |
//! | [`Dense`] | map | logits `[batch, classes, height, width]` |

mod classification;
mod config;
mod dense;
mod readout;
mod regression;

pub use classification::Classification;
pub use config::HeadConfig;
pub use dense::Dense;
pub use regression::Regression;
