//! SGD: a step against the gradient, with momentum if wanted.
//!
//! ```text
//! g ← g + weight_decay · x
//! v ← momentum · v + (1 − dampening) · g          (v ← g at the first step)
//! g ← g + momentum · v  (Nesterov)   or   v  (momentum > 0)   or   g
//! x ← x − lr · g
//! ```
//! Variants: this is PyTorch's. In the paper the learning rate is inside the velocity, which differs as soon as
//! the rate changes.
//! Reference: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
//! learning", ICML 2013, <https://proceedings.mlr.press/v28/sutskever13.html>.

use serde::{Deserialize, Serialize};

use super::{Elementwise, Formula, Now, Rule, range};
use crate::{Error, Result};

/// SGD with momentum, dampening, Nesterov's step and L2 decay.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.001 | ≥ 0 | learning rate |
/// | `momentum` | 0 | `[0, 1)` | how much of the velocity stays |
/// | `dampening` | 0 | `[0, 1)` | how much of the gradient is kept out of the velocity |
/// | `nesterov` | false | needs `momentum` > 0 and `dampening` 0 | look ahead along the velocity |
/// | `weight_decay` | 0 | ≥ 0 | factor of x that is added to the gradient |
///
/// # Example
/// The first velocity is the gradient 2, the second 0.5 · 2 + 2 = 3: x = 1 − 0.1 · (2 + 3).
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Optimizer, OptimizerConfig, Sgd};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let param = Param::new(Var::new(&[1f64], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::Sgd(Sgd { lr: 0.1, momentum: 0.5, ..Sgd::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("w", param.clone())])?)?;
/// let gradients = Named::new([("w", Tensor::new(&[2f64], &Device::Cpu)?)])?;
/// optimizer.step(&gradients)?;
/// optimizer.step(&gradients)?;
/// assert!((param.var.to_vec1::<f64>()?[0] - 0.5).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// How much of the velocity stays.
    pub momentum: f64,
    /// How much of the gradient is kept out of the velocity.
    pub dampening: f64,
    /// Whether to look ahead along the velocity.
    pub nesterov: bool,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Rule for Sgd {
    const NAME: &'static str = "sgd";
    type Step = SgdStep;

    fn check(&self) -> Result<()> {
        range::not_negative("lr", self.lr)?;
        range::fraction("momentum", self.momentum)?;
        range::fraction("dampening", self.dampening)?;
        range::not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let found = format!("momentum {} and dampening {}", self.momentum, self.dampening);
            return Err(Error::parameter("nesterov", "momentum > 0 and dampening 0", found));
        }
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.lr
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 { &["velocity"] } else { &[] }
    }

    fn at(&self, now: Now) -> SgdStep {
        SgdStep {
            rate: now.rate,
            decay: self.weight_decay * now.decay,
            momentum: self.momentum,
            // The velocity starts at zero, so this makes the first one the undampened gradient.
            gain: if now.step == 1 { 1.0 } else { 1.0 - self.dampening },
            nesterov: self.nesterov,
        }
    }
}

/// One step of [`Sgd`].
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    rate: f64,
    decay: f64,
    momentum: f64,
    gain: f64,
    nesterov: bool,
}

impl Formula for SgdStep {
    #[inline(always)]
    fn apply<N: Elementwise>(&self, x: &N, g: &N, slots: &mut [N]) -> Result<N, N::Error> {
        let g = g.plus(self.decay, x)?;
        if slots.is_empty() {
            return x.plus(-self.rate, &g);
        }
        slots[0] = slots[0].scaled(self.momentum)?.plus(self.gain, &g)?;
        if self.nesterov {
            return x.plus(-self.rate, &g.plus(self.momentum, &slots[0])?);
        }
        x.plus(-self.rate, &slots[0])
    }
}
