//! Update rules, and the optimizer that applies one of them to a set of parameters.
//!
//! | rule | per parameter it keeps | reference |
//! | --- | --- | --- |
//! | [`Sgd`] | the velocity, with momentum | Sutskever et al., ICML 2013 |
//! | [`Adam`] | mean, mean square; the peak of the latter with AMSGrad | Kingma and Ba, ICLR 2015; Reddi et al., ICLR 2018 |
//! | [`AdamW`] | as Adam | Loshchilov and Hutter, ICLR 2019 |
//! | [`RmsProp`] | mean square; mean where centered; velocity with momentum | Hinton, Coursera lecture 6e, 2012 |
//! | [`Adagrad`] | the sum of squares | Duchi, Hazan and Singer, JMLR 2011 |
//!
//! Names, defaults and arithmetic are PyTorch's. A rule is one [`Formula`] over single numbers. On the CPU it
//! runs in place, all state of a parameter in one parallel pass; elsewhere the same formula runs on whole
//! tensors. A new rule is one file, one line in [`OptimizerConfig`] and one row in the conformance table.
//!
//! [`clip_norm`] and [`clip_value`] bound gradients before they reach the optimizer. All of them take tensors and
//! [`Gradient`](crate::autograd::Gradient)s alike: one by rows gives the bits of the dense one.

mod adagrad;
mod adam;
mod adamw;
mod clip;
mod config;
#[cfg(test)]
mod conformance;
mod elementwise;
mod gradient;
mod group;
mod optimizer;
mod pass;
mod range;
pub(crate) mod reduce;
mod rmsprop;
mod saved;
mod sgd;

pub use adagrad::{Adagrad, AdagradStep};
pub use adam::{Adam, AdamStep};
pub use adamw::AdamW;
pub use clip::{clip_norm, clip_value};
pub use config::OptimizerConfig;
pub use elementwise::Elementwise;
pub use gradient::IntoGradient;
pub use group::Group;
pub use optimizer::Optimizer;
pub use rmsprop::{RmsProp, RmsPropStep};
pub use sgd::{Sgd, SgdStep};

use crate::Result;

/// An update rule: its parameters, the state that it keeps, and its formula at a given step.
///
/// # Example
/// Steps of the length of the learning rate, whatever the gradient: x ← x − lr · g / √(g²).
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Elementwise, Formula, Group, Now, Optimizer, Rule};
/// use taskweave_kernels::{Kind, Named, Owner, Param, Result};
///
/// #[derive(Debug, Clone, Copy, serde::Serialize)]
/// struct Sign {
///     lr: f64,
/// }
///
/// impl Rule for Sign {
///     const NAME: &'static str = "sign";
///     type Step = Sign;
///     fn check(&self) -> Result<()> {
///         Ok(())
///     }
///     fn rate(&self) -> f64 {
///         self.lr
///     }
///     fn slots(&self) -> &'static [&'static str] {
///         &[]
///     }
///     fn at(&self, now: Now) -> Sign {
///         Sign { lr: now.rate }
///     }
/// }
///
/// impl Formula for Sign {
///     fn apply<N: Elementwise>(&self, x: &N, g: &N, _: &mut [N]) -> Result<N, N::Error> {
///         x.plus(-self.lr, &g.over(&g.times(g)?.root()?)?)
///     }
/// }
///
/// let param = Param::new(Var::new(&[1f64, 2.0], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let mut optimizer =
///     Optimizer::with_rule(Sign { lr: 0.5 }, Named::new([("w", param.clone())])?, Group::of)?;
/// optimizer.step(&Named::new([("w", Tensor::new(&[4f64, -0.1], &Device::Cpu)?)])?)?;
/// assert_eq!(param.var.to_vec1::<f64>()?, [0.5, 2.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub trait Rule: std::fmt::Debug + serde::Serialize + Send + Sync {
    /// What the rule is called in files.
    const NAME: &'static str;

    /// The formula with everything that is the same for all numbers of a parameter worked out.
    type Step: Formula;

    /// Checks every parameter against its documented range.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] for the first one outside.
    fn check(&self) -> Result<()>;

    /// The learning rate that it starts with.
    fn rate(&self) -> f64;

    /// The names of the tensors that it keeps per parameter, all zero at first.
    fn slots(&self) -> &'static [&'static str];

    /// The formula of one step of one parameter.
    fn at(&self, now: Now) -> Self::Step;
}

/// One step of a rule, for one number and equally for one tensor of them.
pub trait Formula: Copy + Send + Sync {
    /// The new value of `x`, given its gradient `g`. `slots` holds the state in the order of [`Rule::slots`]
    /// and takes the new state.
    ///
    /// # Errors
    /// Those of the tensor library; a formula on single numbers cannot fail.
    fn apply<N: Elementwise>(&self, x: &N, g: &N, slots: &mut [N]) -> Result<N, N::Error>;
}

/// What holds for one step of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// The learning rate, the factor of the parameter's group included.
    pub rate: f64,
    /// The factor that the parameter's group puts on the rule's weight decay.
    pub decay: f64,
    /// Which step of this parameter it is, from 1.
    pub step: u64,
}
