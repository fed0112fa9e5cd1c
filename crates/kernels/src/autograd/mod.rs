//! Reverse-mode differentiation: functions with a backward pass of their own, and the tape that runs them.
//!
//! A function computes its value on slices and hands it to [`apply`] with what its backward pass needs. What
//! becomes of it depends on where it is called:
//!
//! | called | the result is | differentiated by |
//! | --- | --- | --- |
//! | anywhere | one node of candle's graph | candle's `backward` |
//! | inside [`record`] | one node of a [`Tape`], and a leaf for candle | [`Tape::backward`] |
//! | inside [`no_grad`] | a plain tensor | – |
//!
//! # Why a tape
//!
//! Candle's own reverse pass fills a gradient with zeros and adds to it for every edge of its graph, visits all
//! of the graph, and can be run once per loss at that price. The tape moves gradients instead, adds in place
//! where two meet, computes those that lead to a wanted tensor only, and can be run over again for every task.
//! Operations of candle between two of our functions are found and differentiated by candle itself, so that any
//! module works under a tape.
//!
//! # Example
//! ```
//! use candle_core::{Device, Var};
//! use taskweave_kernels::{autograd, ops};
//! let x = Var::new(&[-1f64, 2.0], &Device::Cpu)?;
//! // A function of ours, then candle's operations.
//! let (y, tape) = autograd::record(|| Ok(ops::relu(&x)?.sqr()?.sum_all()?))?;
//! let gradients = tape.backward(&[(&y, None)], &[&x])?;
//! assert_eq!(gradients.dense(&x)?.unwrap().to_vec1::<f64>()?, [0.0, 4.0]);
//! # Ok::<(), taskweave_kernels::Error>(())
//! ```

mod gradient;
mod graph;
mod products;
mod recording;
mod segment;
mod tape;
mod tasks;

pub use gradient::{Gradient, RowGradient};
pub(crate) use products::one_by_one;
pub use recording::{no_grad, record};
pub use tape::{Gradients, Tape};
pub use tasks::TaskGradients;

use candle_core::op::BackpropOp;
use candle_core::{Shape, Storage, Tensor, WithDType};

use crate::Result;
use recording::Recorded;

/// A differentiable function of some tensors, once its value is known.
///
/// Whatever else the backward pass needs (statistics, masks, sizes) are the fields of the implementer.
pub trait Function: Send + Sync + 'static {
    /// The name of the function in messages.
    fn name(&self) -> &'static str;

    /// The gradient of each input, in their order, given that of the output; `None` where it is not wanted.
    ///
    /// A tensor that is returned must be fresh, because gradients are added to in place; or it is the cotangent
    /// itself.
    ///
    /// # Errors
    /// Those of the function.
    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>>;

    /// The inner products of several tasks' gradients with respect to the wanted inputs, `[tasks · tasks]`, given each
    /// task's gradient of the output, where there is one; or `None` where it is cheaper to form the gradients.
    ///
    /// # Errors
    /// Those of the function.
    fn task_products(&self, _call: &Call<'_>, _cotangents: &[Option<Tensor>]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// How an input meets the samples of a batch.
    fn samples(&self, _input: usize) -> Samples {
        Samples::Coupled
    }

    /// The inner products of the samples' gradients with respect to the wanted inputs, `[batch · batch]`, where
    /// row b of `cotangent` is the gradient of sample b's loss.
    ///
    /// Given is a way that is right for every function that keeps samples apart: one backward pass per sample.
    ///
    /// # Errors
    /// Those of the function.
    fn sample_products(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<f64>> {
        one_by_one(self, call, cotangent)
    }
}

/// How an input of a function meets the samples of a batch, which lie along the first dimension of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// Each sample's output may depend on the rows of every sample.
    Coupled,
    /// Its rows are the samples', and each sample's output depends on its own row alone.
    Apart,
    /// Every sample sees all of it, as it does a weight.
    Whole,
}

/// One application of a function.
pub struct Call<'a> {
    /// What it was applied to.
    pub inputs: &'a [Tensor],
    /// What came out.
    pub output: &'a Tensor,
    wanted: &'a [bool],
}

impl Call<'_> {
    /// Whether anybody needs the gradient of input `i`.
    pub fn wants(&self, i: usize) -> bool {
        self.wanted.get(i).copied().unwrap_or_default()
    }
}

/// The values of a function on the CPU as a tensor that knows how it came about.
///
/// # Shapes
/// `values` fill `shape` in row-major order.
///
/// # Errors
/// Those of candle.
///
/// # Example
/// y = x³ with a backward pass of its own.
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::Result;
/// use taskweave_kernels::autograd::{Call, Function, Gradient, apply};
///
/// struct Cube;
///
/// impl Function for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
///         Ok(vec![Some(((call.inputs[0].sqr()? * 3.0)? * cotangent)?.into())])
///     }
/// }
///
/// let x = Var::new(&[2f64, 3.0], &Device::Cpu)?;
/// let cubes = x.to_vec1::<f64>()?.into_iter().map(|v| v * v * v).collect();
/// let y = apply(Cube, &[&x], cubes, 2)?;
/// assert_eq!(y.to_vec1::<f64>()?, [8.0, 27.0]);
/// assert_eq!(y.backward()?.get(&x).unwrap().to_vec1::<f64>()?, [12.0, 27.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn apply<T: WithDType>(
    function: impl Function,
    inputs: &[&Tensor],
    values: Vec<T>,
    shape: impl Into<Shape>,
) -> Result<Tensor> {
    let storage = T::to_cpu_storage_owned(values);
    if !inputs.iter().any(|x| x.track_op()) {
        return Ok(plain(Storage::Cpu(storage), shape, Role::Constant));
    }
    let inputs: Vec<Tensor> = inputs.iter().map(|&x| x.clone()).collect();
    match recording::state() {
        Recorded::Nothing => Ok(plain(Storage::Cpu(storage), shape, Role::Constant)),
        Recorded::Graph => graph::node(Box::new(function), inputs, storage, shape.into()),
        Recorded::Tape => {
            let output = plain(Storage::Cpu(storage), shape, Role::Leaf);
            recording::push(Box::new(function), inputs, output.clone());
            Ok(output)
        }
    }
}

/// What a tensor is to candle's graph.
#[derive(PartialEq)]
enum Role {
    Constant,
    /// Where what candle differentiates begins.
    Leaf,
}

fn plain(storage: Storage, shape: impl Into<Shape>, role: Role) -> Tensor {
    Tensor::from_storage(storage, shape, BackpropOp::none(), role == Role::Leaf)
}
