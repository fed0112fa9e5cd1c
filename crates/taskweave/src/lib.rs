//! Multi-task learning and co-training of neural networks, on candle.
//!
//! This crate is the table of contents: it re-exports the five layers and holds no logic.
//!
//! | module | layer |
//! | --- | --- |
//! | [`kernels`] | shared words, differentiable operations, optimizers |
//! | [`heads`] | backbones, sharing architectures, task heads |
//! | [`loss`] | criteria, metrics, scalarizers, Jacobian and Gramian |
//! | [`data`] | data sets, augmentation, the loader |
//! | [`cotrain`] | steps, schedules, training, checkpoints, reports |
//!
//! # Example
//! One network, two tasks, trained jointly:
//! ```
//! use std::sync::Arc;
//! use candle_core::{DType, Device};
//! use taskweave::prelude::*;
//!
//! let rng = Rng::new(0);
//! let params = Params::new(&rng, DType::F32, &Device::Cpu);
//! let network = NetworkConfig {
//!     view: "image".into(),
//!     backbone: CnnConfig::new(3, &[8, 16]),
//!     heads: Named::new([
//!         ("class", HeadConfig::Classification { classes: 10 }),
//!         ("mask", HeadConfig::Dense { classes: 2 }),
//!     ])?,
//! };
//! let mut step = Step::builder(network.build(&params)?, params)
//!     .criterion("class", CrossEntropy::default())
//!     .criterion("mask", CrossEntropy::default())
//!     .rng(&rng)
//!     .build()?;
//! let shapes = Arc::new(Shapes::new(ShapesConfig { len: 64, ..ShapesConfig::default() })?);
//! let loader = Loader::builder(shapes).batch_size(32).order(Order::Shuffled).rng(rng).build()?;
//! let history = Trainer::builder(loader).epochs(2).build()?.fit(&mut step)?;
//! println!("{:?}", history.epochs[1].train);
//! # Ok::<(), Error>(())
//! ```

pub use taskweave_cotrain as cotrain;
pub use taskweave_data as data;
pub use taskweave_heads as heads;
pub use taskweave_kernels as kernels;
pub use taskweave_loss as loss;

/// What most programs need.
pub mod prelude {
    pub use taskweave_cotrain::{
        Balance, BalanceConfig, Checkpoints, Progress, Run, Sampling, Schedule, Step, Trainer,
    };
    pub use taskweave_data::{Batch, Dataset, Labels, Loader, Memory, Order, Shapes, ShapesConfig};
    pub use taskweave_heads::{
        Backbone, CnnConfig, Features, HardSharing, HeadConfig, MlpConfig, Mode, Model, Network,
        NetworkConfig, Params, Stage,
    };
    pub use taskweave_kernels::optim::{Adam, AdamW, OptimizerConfig, Sgd};
    pub use taskweave_kernels::{Error, Named, Result, Rng, Target};
    pub use taskweave_loss::criterion::{BceWithLogits, CrossEntropy, Mse};
    pub use taskweave_loss::{Criterion, Metric, MetricConfig, Scalarizer, ScalarizerConfig, metric};
}

/// The program of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
