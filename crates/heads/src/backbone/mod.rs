//! Trunks: a list of stages and what comes out of it.
//!
//! | name | stages | features |
//! | --- | --- | --- |
//! | [`CnnConfig`] | (convolution, normalization, ReLU) × n, pooling between widths, dropout | map |
//! | [`MlpConfig`] | (linear, ReLU, dropout) per width | vector |
//! | [`TransformerConfig`] | encoder layers over the vectors of a sequence | `[batch, time, width]` |

mod chain;
mod cnn;
mod mlp;
mod transformer;

pub use chain::{Backbone, Features};
pub use cnn::CnnConfig;
pub use mlp::MlpConfig;
pub use transformer::TransformerConfig;
