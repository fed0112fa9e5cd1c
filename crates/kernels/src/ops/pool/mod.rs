//! Pooling: one value for each window of an image.
//!
//! | function | window | value |
//! | --- | --- | --- |
//! | [`max_pool2d`], [`max_pool2d_with`] | a [`Pool2d`] | the largest |
//! | [`adaptive_max_pool2d`] | as many as asked for | the largest |
//! | [`avg_pool2d`] | a [`Pool2d`] | the mean |
//! | [`adaptive_avg_pool2d`] | as many as asked for | the mean |
//! | [`global_avg_pool2d`] | the image | the mean |
//! | [`mean_pool1d`] | a sequence | the mean |

mod average;
mod max;
mod mean;
mod quads;
mod window;

pub use average::{Border, adaptive_avg_pool2d, avg_pool2d};
pub use max::{adaptive_max_pool2d, max_pool2d, max_pool2d_with};
pub use mean::{global_avg_pool2d, mean_pool1d};
pub use window::Pool2d;
