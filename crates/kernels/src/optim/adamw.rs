//! AdamW: Adam whose weight decay is apart from the gradient.
//!
//! ```text
//! x ← (1 − lr · weight_decay) · x, then a step of Adam without decay
//! ```
//! Variants: this is PyTorch's, where the decay is scaled by the learning rate; in the paper it is scaled by the
//! schedule's multiplier alone.
//! Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2,
//! <https://arxiv.org/abs/1711.05101>.

use serde::{Deserialize, Serialize};

use super::{Adam, AdamStep, Now, Rule};
use crate::Result;

/// Adam with decoupled weight decay.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.001 | ≥ 0 | learning rate |
/// | `betas` | (0.9, 0.999) | `[0, 1)` each | how much of the mean and of the mean square stays |
/// | `eps` | 1e-8 | > 0 | added to the root |
/// | `weight_decay` | 0.01 | ≥ 0 | share of x, times `lr`, that every step takes off |
/// | `amsgrad` | false | | divide by the root of the largest mean square so far |
///
/// # Example
/// A gradient of zero leaves the decay alone: x = 2 · (1 − 0.1 · 0.5).
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{AdamW, Optimizer, OptimizerConfig};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let param = Param::new(Var::new(&[2f64], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::AdamW(AdamW { lr: 0.1, weight_decay: 0.5, ..AdamW::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("w", param.clone())])?)?;
/// optimizer.step(&Named::new([("w", Tensor::new(&[0f64], &Device::Cpu)?)])?)?;
/// assert_eq!(param.var.to_vec1::<f64>()?, [1.9]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// How much of the mean and of the mean square stays.
    pub betas: (f64, f64),
    /// Added to the root.
    pub eps: f64,
    /// Share of the parameter, times the learning rate, that every step takes off.
    pub weight_decay: f64,
    /// Whether to divide by the root of the largest mean square so far.
    pub amsgrad: bool,
}

impl AdamW {
    fn adam(&self) -> Adam {
        let Self { lr, betas, eps, weight_decay, amsgrad } = *self;
        Adam { lr, betas, eps, weight_decay, amsgrad }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { lr, betas, eps, amsgrad, .. } = Adam::default();
        Self { lr, betas, eps, weight_decay: 1e-2, amsgrad }
    }
}

impl Rule for AdamW {
    const NAME: &'static str = "adamw";
    type Step = AdamStep;

    fn check(&self) -> Result<()> {
        self.adam().check()
    }

    fn rate(&self) -> f64 {
        self.lr
    }

    fn slots(&self) -> &'static [&'static str] {
        self.adam().slots()
    }

    fn at(&self, now: Now) -> AdamStep {
        let kept = 1.0 - now.rate * self.weight_decay * now.decay;
        AdamStep { kept, ..Adam { weight_decay: 0.0, ..self.adam() }.at(now) }
    }
}
