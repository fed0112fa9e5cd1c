//! One training step: predict → losses → scalar → gradient → update.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `builder` | the parts of a step, checked against each other |
//! | `run` | the step itself, over one batch or several as one |
//! | `pass` | inputs to losses, with every check on the way |
//! | `direct`, `accumulate` | the gradients of a step over one batch, and over several |
//! | `aggregation` | which parameters the balance is for, and what they and the heads get |
//! | `rows`, `seam`, `samples` | what is balanced: gradients of parameters, of features, of samples |
//! | `gradients` | gradients by parameter |
//! | `primitives` | what step protocols are made of |
//! | `clip` | what is done to gradients that are too large |
//! | `saved` | saving and restoring |
//! | `lookahead` | the losses that a step for one task alone would leave |
//! | `prefer` | which trade-off it is after |
//! | `evaluate` | losses and metrics over a loader |

mod accumulate;
mod aggregation;
mod builder;
mod clip;
mod direct;
mod evaluate;
mod gradients;
mod lookahead;
mod pass;
mod prefer;
mod primitives;
mod rows;
mod run;
mod samples;
mod saved;
mod seam;

use taskweave_heads::{Model, Params};
use taskweave_kernels::optim::Optimizer;
use taskweave_kernels::{Named, Owner, Result, Rng};
use taskweave_loss::Criterion;

use crate::{Balance, Sampling, Schedule};

pub use builder::StepBuilder;
pub use clip::Clip;
pub use evaluate::TaskScore;
pub use lookahead::Lookahead;
pub use primitives::{Over, Part, Weighed};

/// A model, its objective and its optimizers: everything that one training step needs.
///
/// The loop around it is yours, or [`Trainer`](crate::Trainer)'s. All randomness of a step comes from a fork of
/// the builder's stream by the step's number, so nothing random has to be saved.
///
/// # Example
/// Two regressions on shared features, trained by hand.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_cotrain::Step;
/// use taskweave_data::Batch;
/// use taskweave_heads::{HardSharing, MlpConfig, Network, Params, Regression, Stage};
/// use taskweave_kernels::{Named, Rng, Target};
/// use taskweave_loss::criterion::Mse;
///
/// let rng = Rng::new(0);
/// let params = Params::new(&rng, DType::F32, &Device::Cpu);
/// let trunk = MlpConfig { inputs: 2, widths: vec![8], dropout: 0.0 }.build(&params.shared())?;
/// let head = |task: &str| -> taskweave_kernels::Result<Box<dyn Stage>> {
///     Ok(Box::new(Regression::new(&params.task(task), trunk.features(), 1)?))
/// };
/// let heads = Named::new([("sum", head("sum")?), ("difference", head("difference")?)])?;
/// let model = Network::new(Box::new(HardSharing::new("x", trunk)), heads);
/// let mut step = Step::builder(model, params)
///     .criterion("sum", Mse)
///     .criterion("difference", Mse)
///     .rng(&rng)
///     .build()?;
///
/// let x = Tensor::new(&[[1f32, 2.0], [3.0, -1.0]], &Device::Cpu)?;
/// let target = |values: [f32; 2]| Target::new(Tensor::new(&values, &Device::Cpu)?.reshape((2, 1))?);
/// let batch = Batch {
///     inputs: Named::new([("x", x)])?,
///     targets: Named::new([("sum", target([3.0, 2.0])?), ("difference", target([-1.0, 4.0])?)])?,
///     indices: vec![0, 1],
/// };
/// let first = step.step(&batch)?.losses["sum"];
/// let mut last = first;
/// for _ in 0..100 {
///     last = step.step(&batch)?.losses["sum"];
/// }
/// assert!(last < 0.5 * first);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Step {
    model: Box<dyn Model>,
    params: Params,
    criteria: Named<Box<dyn Criterion>>,
    balance: Balance,
    optimizers: Named<Optimizer>,
    schedule: Schedule,
    sampling: Sampling,
    clip: Clip,
    rng: Rng,
    tasks: Vec<String>,
    base: f64,
    done: u64,
}

/// What a step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The number of the step, from 0.
    pub step: u64,
    /// Samples seen.
    pub samples: usize,
    /// The loss of each task that learned; empty where the batch had none, and then nothing has changed.
    pub losses: Named<f64>,
    /// The scalar that was minimized.
    pub value: f64,
    /// ∂value/∂loss of each of those tasks.
    pub weights: Named<f64>,
    /// The weight that each of those tasks' gradients has in the update of what they share, with scale and normalization;
    /// nothing where no tasks' gradients are balanced, or by an aggregator that has no weights.
    pub aggregated: Option<Named<f64>>,
    /// The weight of each sample, where samples are balanced.
    pub sample_weights: Option<Vec<f64>>,
    /// The 2-norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// The block that was held.
    pub held: Option<Owner>,
}

impl Step {
    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The tasks in order.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Steps done so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// What makes one gradient of the losses.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// Tells methods that adapt to the progress of an epoch its mean losses, for those who write the loop themselves.
    ///
    /// # Errors
    /// Those of the method.
    pub fn end_epoch(&mut self, mean_losses: &Named<f64>) -> Result<()> {
        self.balance.end_epoch(mean_losses)
    }
}

/// The name of a block: `shared` or `task.<name>`.
fn block(owner: &Owner) -> String {
    match owner {
        Owner::Shared => "shared".into(),
        Owner::Task(task) => format!("task.{task}"),
    }
}
