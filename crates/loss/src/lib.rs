//! Criteria, metrics, scalarizers and the per-task Jacobian of taskweave.
//!
//! A training step reads predict → losses → Jacobian → gradient → update; this crate owns the middle of it.
//!
//! - [`criterion`]: prediction + [`Target`](taskweave_kernels::Target) → one loss per sample.
//! - [`metric`]: what a reader of results wants to know, collected batch by batch in host f64.
//! - [`scalarizer`]: one loss per task → the one scalar that is differentiated.
//! - [`Jacobian`] and [`Gramian`]: the gradients of every task, and how they meet; [`sample_gramian`] for samples.
//! - [`weighting`]: the Gramian → one weight per task.
//! - [`aggregator`]: the gradients of all tasks → one gradient, by weights or coordinate by coordinate.
//! - [`Affinity`] and [`Grouping`]: which tasks help each other, and which to train together.
//! - [`pareto`]: dominance, hypervolume and preferences of sets of trade-offs.
//! - [`delta_p`] and [`delta_m`]: multi-task against single-task results in one number.
//!
//! # One place for the weighted mean
//!
//! A criterion never reduces over the batch: it returns `[batch]`, and [`weighted_mean`] is the only place where
//! Σwᵢℓᵢ/Σwᵢ is formed. A missing label, the confidence of a pseudo-label and the selection of small losses are
//! all a weight, so no criterion has a reduction flag or a mask of its own. One rule holds everywhere: **what
//! weighs 0 counts for nothing, whatever it holds**. An unlabeled sample may carry any label, a NaN or an
//! infinity; its loss is 0, its gradient is 0, and no metric sees it.
//!
//! # Where the numbers are formed
//!
//! Criteria are compositions of candle's operations, exact at logits of ±800, on any device and differentiable
//! in prediction and target alike. Cross-entropy with class labels and binary cross-entropy are single functions
//! on the CPU, because they are in the hot path of every classification and segmentation. What is small
//! (labels, weights, metrics, the Gramian) is checked and summed on the host in f64.
//!
//! # What this crate is not
//!
//! It knows no layers and no data sets, holds no training loop and reads no files.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adam;
mod affinity;
pub mod aggregator;
mod attempt;
pub mod criterion;
mod delta;
mod element_weight;
mod family;
mod gramian;
mod grouping;
mod jacobian;
mod known_tasks;
mod labels;
pub mod metric;
mod no_parameters;
mod parameter;
pub mod pareto;
mod sample_gramian;
pub mod scalarizer;
mod simplex;
pub mod weighting;

pub use affinity::Affinity;
pub use aggregator::{Aggregated, Aggregator, AggregatorConfig};
pub use criterion::{Criterion, CriterionConfig, mean_loss, weighted_mean};
pub use delta::{Change, delta_m, delta_p};
pub use gramian::Gramian;
pub use grouping::{Group, Grouping};
pub use jacobian::Jacobian;
pub use metric::{Direction, Metric, MetricConfig};
pub use sample_gramian::sample_gramian;
pub use scalarizer::{Scalarized, Scalarizer, ScalarizerConfig, scalarized};
pub use simplex::simplex_projection;
pub use weighting::{Weighting, WeightingConfig};
