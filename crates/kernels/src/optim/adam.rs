//! Adam: a step along the mean gradient, divided by the root of the mean square of each coordinate.
//!
//! ```text
//! g ← g + weight_decay · x
//! m ← β₁ m + (1 − β₁) g
//! v ← β₂ v + (1 − β₂) g²
//! p ← max(p, v)                                     (AMSGrad; without it p = v)
//! x ← x − lr / (1 − β₁ᵗ) · m / (√p / √(1 − β₂ᵗ) + eps)
//! ```
//! Variants: this is PyTorch's. Its AMSGrad keeps the peak of the uncorrected v; the paper on AMSGrad corrects
//! neither m nor v for their start at zero. Weight decay is part of the gradient here and therefore divided by
//! the root as well; [`AdamW`](super::AdamW) keeps it apart.
//! Reference: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1,
//! <https://arxiv.org/abs/1412.6980>; Reddi, Kale, Kumar, "On the Convergence of Adam and Beyond", ICLR 2018,
//! algorithm 2, <https://openreview.net/forum?id=ryQu7f-RZ>.

use serde::{Deserialize, Serialize};

use super::{Elementwise, Formula, Now, Rule, range};
use crate::Result;

/// Adam with L2 decay and the AMSGrad option.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.001 | ≥ 0 | learning rate |
/// | `betas` | (0.9, 0.999) | `[0, 1)` each | how much of the mean and of the mean square stays |
/// | `eps` | 1e-8 | > 0 | added to the root |
/// | `weight_decay` | 0 | ≥ 0 | factor of x that is added to the gradient |
/// | `amsgrad` | false | | divide by the root of the largest mean square so far |
///
/// # Example
/// At the first step m / (1 − β₁) = g and √(v / (1 − β₂)) = |g|: the step has length `lr`.
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Adam, Optimizer, OptimizerConfig};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let param = Param::new(Var::new(&[1f64, 1.0], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::Adam(Adam { lr: 0.1, ..Adam::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("w", param.clone())])?)?;
/// optimizer.step(&Named::new([("w", Tensor::new(&[7f64, -0.3], &Device::Cpu)?)])?)?;
/// let x = param.var.to_vec1::<f64>()?;
/// assert!((x[0] - 0.9).abs() < 1e-7 && (x[1] - 1.1).abs() < 1e-7);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// How much of the mean and of the mean square stays.
    pub betas: (f64, f64),
    /// Added to the root.
    pub eps: f64,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
    /// Whether to divide by the root of the largest mean square so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Rule for Adam {
    const NAME: &'static str = "adam";
    type Step = AdamStep;

    fn check(&self) -> Result<()> {
        range::not_negative("lr", self.lr)?;
        range::fraction("betas[0]", self.betas.0)?;
        range::fraction("betas[1]", self.betas.1)?;
        range::positive("eps", self.eps)?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn rate(&self) -> f64 {
        self.lr
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.amsgrad { &["mean", "square", "peak"] } else { &["mean", "square"] }
    }

    fn at(&self, now: Now) -> AdamStep {
        let time = now.step as f64;
        AdamStep {
            rate: now.rate / (1.0 - self.betas.0.powf(time)),
            decay: self.weight_decay * now.decay,
            kept: 1.0,
            betas: self.betas,
            root: 1.0 / (1.0 - self.betas.1.powf(time)).sqrt(),
            eps: self.eps,
        }
    }
}

/// One step of [`Adam`] or of [`AdamW`](super::AdamW).
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    pub(super) rate: f64,
    pub(super) decay: f64,
    /// The share of the parameter that decoupled decay leaves.
    pub(super) kept: f64,
    pub(super) betas: (f64, f64),
    pub(super) root: f64,
    pub(super) eps: f64,
}

impl Formula for AdamStep {
    #[inline(always)]
    fn apply<N: Elementwise>(&self, x: &N, g: &N, slots: &mut [N]) -> Result<N, N::Error> {
        let g = g.plus(self.decay, x)?;
        slots[0] = slots[0].blended(self.betas.0, &g)?;
        slots[1] = slots[1].blended(self.betas.1, &g.times(&g)?)?;
        if slots.len() == 3 {
            slots[2] = slots[2].larger(&slots[1])?;
        }
        let root = slots[slots.len() - 1].root()?.scaled(self.root)?.shifted(self.eps)?;
        x.scaled(self.kept)?.plus(-self.rate, &slots[0].over(&root)?)
    }
}
