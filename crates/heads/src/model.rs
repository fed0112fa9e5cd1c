//! The model: sharing, then heads.

use candle_core::Tensor;
use taskweave_kernels::{Named, Result};

use crate::{Mode, Sharing, Stage};

/// Predictions for several tasks, in two stages with a seam between them.
///
/// Inputs are named by view, features and predictions by task. Everything is `[batch, …]`.
///
/// # Example
/// A model of your own: two tasks that see the same two numbers, one of them through a trained factor.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_heads::{Mode, Model, Params};
/// use taskweave_kernels::{Named, Result, Rng};
///
/// struct Scaled { factor: Tensor }
///
/// impl Model for Scaled {
///     fn tasks(&self) -> Vec<String> {
///         vec!["plain".into(), "scaled".into()]
///     }
///     fn share(&self, inputs: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
///         let x = inputs.require("view", "x")?;
///         Named::new(self.tasks().into_iter().map(|task| (task, x.clone())))
///     }
///     fn heads(&self, features: &Named<Tensor>, _: Mode<'_>) -> Result<Named<Tensor>> {
///         features.try_map(|task, x| match task {
///             "scaled" => Ok(x.broadcast_mul(&self.factor)?),
///             _ => Ok(x.clone()),
///         })
///     }
/// }
///
/// let params = Params::new(&Rng::new(0), DType::F32, &Device::Cpu);
/// let factor = params.task("scaled").get_with_hints(1, "factor", candle_nn::Init::Const(3.0))?;
/// let inputs = Named::new([("x", Tensor::new(&[1f32, 2.0], &Device::Cpu)?)])?;
/// let predictions = Scaled { factor }.forward(&inputs, Mode::Eval)?;
/// assert_eq!(predictions["scaled"].to_vec1::<f32>()?, [3.0, 6.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Model: Send + Sync {
    /// The tasks in order.
    fn tasks(&self) -> Vec<String>;

    /// From the inputs by view to the features of each task, all tasks of [`Model::tasks`] among them.
    ///
    /// # Errors
    /// A missing view, or a misshapen input.
    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>>;

    /// The features of `tasks` at least. A model that computes something for single tasks saves it here for the others;
    /// what is given is [`Model::share`].
    ///
    /// # Errors
    /// As for [`Model::share`].
    fn share_for(&self, _tasks: &[String], inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.share(inputs, mode)
    }

    /// From features to predictions, for exactly the tasks that `features` has and in their order; a training
    /// step refuses anything else.
    ///
    /// # Errors
    /// An unknown task, or misshapen features.
    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>>;

    /// Both stages.
    ///
    /// # Errors
    /// Those of the two stages.
    fn forward(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.heads(&self.share(inputs, mode)?, mode)
    }
}

/// A sharing architecture with one head per task.
///
/// The crate's opening page builds one.
pub struct Network {
    sharing: Box<dyn Sharing>,
    heads: Named<Box<dyn Stage>>,
}

impl Network {
    /// A network from its two stages; the tasks are those of `heads`, in their order.
    pub fn new(sharing: Box<dyn Sharing>, heads: Named<Box<dyn Stage>>) -> Self {
        Self { sharing, heads }
    }
}

impl Model for Network {
    fn tasks(&self) -> Vec<String> {
        self.heads.names().map(String::from).collect()
    }

    fn share(&self, inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.sharing.share(inputs, &self.tasks(), mode)
    }

    fn share_for(&self, tasks: &[String], inputs: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        self.sharing.share(inputs, tasks, mode)
    }

    fn heads(&self, features: &Named<Tensor>, mode: Mode<'_>) -> Result<Named<Tensor>> {
        features.try_map(|task, x| self.heads.require("task", task)?.forward(x, mode))
    }
}
