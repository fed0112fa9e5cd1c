//! Adagrad: a step against the gradient, divided by the root of the sum of all squares so far.
//!
//! ```text
//! g ← g + weight_decay · x
//! s ← s + g²
//! x ← x − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)
//! ```
//! Variants: this is PyTorch's, the diagonal form of the paper with a learning rate that decays on top.
//! Reference: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
//! Optimization", JMLR 2011, <https://jmlr.org/papers/v12/duchi11a.html>.

use serde::{Deserialize, Serialize};

use super::{Elementwise, Formula, Now, Rule, range};
use crate::Result;

/// Adagrad with a decaying learning rate and L2 decay.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.01 | ≥ 0 | learning rate |
/// | `lr_decay` | 0 | ≥ 0 | how fast the learning rate falls with the steps |
/// | `eps` | 1e-10 | > 0 | added to the root |
/// | `weight_decay` | 0 | ≥ 0 | factor of x that is added to the gradient |
///
/// # Example
/// The roots for gradients 3 and 4 are 3 and 5: x = 1 − 0.1 · (3/3 + 4/5).
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Adagrad, Optimizer, OptimizerConfig};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let param = Param::new(Var::new(&[1f64], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::Adagrad(Adagrad { lr: 0.1, ..Adagrad::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("w", param.clone())])?)?;
/// for gradient in [3f64, 4.0] {
///     optimizer.step(&Named::new([("w", Tensor::new(&[gradient], &Device::Cpu)?)])?)?;
/// }
/// assert!((param.var.to_vec1::<f64>()?[0] - 0.82).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f64,
    /// How fast the learning rate falls with the steps.
    pub lr_decay: f64,
    /// Added to the root.
    pub eps: f64,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { lr: 1e-2, lr_decay: 0.0, eps: 1e-10, weight_decay: 0.0 }
    }
}

impl Rule for Adagrad {
    const NAME: &'static str = "adagrad";
    type Step = AdagradStep;

    fn check(&self) -> Result<()> {
        range::not_negative("lr", self.lr)?;
        range::not_negative("lr_decay", self.lr_decay)?;
        range::positive("eps", self.eps)?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn rate(&self) -> f64 {
        self.lr
    }

    fn slots(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn at(&self, now: Now) -> AdagradStep {
        AdagradStep {
            rate: now.rate / (1.0 + (now.step - 1) as f64 * self.lr_decay),
            decay: self.weight_decay * now.decay,
            eps: self.eps,
        }
    }
}

/// One step of [`Adagrad`].
#[derive(Debug, Clone, Copy)]
pub struct AdagradStep {
    rate: f64,
    decay: f64,
    eps: f64,
}

impl Formula for AdagradStep {
    #[inline(always)]
    fn apply<N: Elementwise>(&self, x: &N, g: &N, slots: &mut [N]) -> Result<N, N::Error> {
        let g = g.plus(self.decay, x)?;
        slots[0] = slots[0].plus(1.0, &g.times(&g)?)?;
        x.plus(-self.rate, &g.over(&slots[0].root()?.shifted(self.eps)?)?)
    }
}
