//! RMSprop: a step against the gradient, divided by the root of the mean square of each coordinate.
//!
//! ```text
//! g ← g + weight_decay · x
//! s ← alpha · s + (1 − alpha) g²
//! m ← alpha · m + (1 − alpha) g                     (centered; without it m = 0)
//! d ← g / (√max(s − m², 0) + eps)
//! u ← momentum · u + d                              (momentum > 0; without it u = d)
//! x ← x − lr · u
//! ```
//! Variants: this is PyTorch's, with eps outside the root. The maximum is only here: rounding can make s − m²
//! negative for a constant gradient, and the root of that would be NaN.
//! Reference: Hinton, "Neural Networks for Machine Learning", lecture 6e, Coursera 2012; centered: Graves,
//! "Generating Sequences With Recurrent Neural Networks", 2013, eq. 38-45, <https://arxiv.org/abs/1308.0850>.

use serde::{Deserialize, Serialize};

use super::{Elementwise, Formula, Now, Rule, range};
use crate::Result;

/// RMSprop with momentum, the centered option and L2 decay.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `lr` | 0.01 | ≥ 0 | learning rate |
/// | `alpha` | 0.99 | `[0, 1)` | how much of the mean square stays |
/// | `eps` | 1e-8 | > 0 | added to the root |
/// | `momentum` | 0 | `[0, 1)` | how much of the velocity stays |
/// | `centered` | false | | divide by the standard deviation instead of the root mean square |
/// | `weight_decay` | 0 | ≥ 0 | factor of x that is added to the gradient |
///
/// # Example
/// With `alpha` 0.75 the first mean square is g² / 4, so that the first step is twice the learning rate.
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use taskweave_kernels::optim::{Optimizer, OptimizerConfig, RmsProp};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// let param = Param::new(Var::new(&[1f64], &Device::Cpu)?, Kind::Weight, Owner::Shared);
/// let rule = OptimizerConfig::RmsProp(RmsProp { lr: 0.1, alpha: 0.75, ..RmsProp::default() });
/// let mut optimizer = Optimizer::new(rule, Named::new([("w", param.clone())])?)?;
/// optimizer.step(&Named::new([("w", Tensor::new(&[6f64], &Device::Cpu)?)])?)?;
/// assert!((param.var.to_vec1::<f64>()?[0] - 0.8).abs() < 1e-8);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// How much of the mean square stays.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
    /// How much of the velocity stays.
    pub momentum: f64,
    /// Whether to divide by the standard deviation instead of the root mean square.
    pub centered: bool,
    /// Factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { lr: 1e-2, alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl Rule for RmsProp {
    const NAME: &'static str = "rmsprop";
    type Step = RmsPropStep;

    fn check(&self) -> Result<()> {
        range::not_negative("lr", self.lr)?;
        range::fraction("alpha", self.alpha)?;
        range::positive("eps", self.eps)?;
        range::fraction("momentum", self.momentum)?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn rate(&self) -> f64 {
        self.lr
    }

    fn slots(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square"],
            (false, true) => &["square", "velocity"],
            (true, false) => &["square", "mean"],
            (true, true) => &["square", "mean", "velocity"],
        }
    }

    fn at(&self, now: Now) -> RmsPropStep {
        RmsPropStep { rate: now.rate, decay: self.weight_decay * now.decay, rule: *self }
    }
}

/// One step of [`RmsProp`].
#[derive(Debug, Clone, Copy)]
pub struct RmsPropStep {
    rate: f64,
    decay: f64,
    rule: RmsProp,
}

impl RmsPropStep {
    /// The root that the gradient is divided by.
    #[inline(always)]
    fn root<N: Elementwise>(&self, g: &N, slots: &mut [N]) -> Result<N, N::Error> {
        slots[0] = slots[0].blended(self.rule.alpha, &g.times(g)?)?;
        if !self.rule.centered {
            return slots[0].root()?.shifted(self.rule.eps);
        }
        slots[1] = slots[1].blended(self.rule.alpha, g)?;
        let variance = slots[0].plus(-1.0, &slots[1].times(&slots[1])?)?;
        variance.larger(&variance.scaled(0.0)?)?.root()?.shifted(self.rule.eps)
    }
}

impl Formula for RmsPropStep {
    #[inline(always)]
    fn apply<N: Elementwise>(&self, x: &N, g: &N, slots: &mut [N]) -> Result<N, N::Error> {
        let g = g.plus(self.decay, x)?;
        let direction = g.over(&self.root(&g, slots)?)?;
        if self.rule.momentum == 0.0 {
            return x.plus(-self.rate, &direction);
        }
        let last = slots.len() - 1;
        slots[last] = slots[last].scaled(self.rule.momentum)?.plus(1.0, &direction)?;
        x.plus(-self.rate, &slots[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameter after many steps along `g`, and whether rounding made the variance negative on the way.
    fn after(g: f32) -> (f32, bool) {
        let rule = RmsProp { centered: true, alpha: 0.9, ..RmsProp::default() };
        let (mut slots, mut x, mut negative) = ([0f32; 2], 1f32, false);
        for step in 1..400 {
            let Ok(new) = rule.at(Now { rate: 1e-3, decay: 1.0, step }).apply(&x, &g, &mut slots);
            (x, negative) = (new, negative || slots[0] < slots[1] * slots[1]);
        }
        (x, negative)
    }

    #[test]
    fn a_constant_gradient_stays_finite_where_it_is_centered() {
        let ends: Vec<_> = (1..100).map(|i| after(0.01 * i as f32)).collect();
        assert!(ends.iter().any(|(_, negative)| *negative), "rounding never made the variance negative");
        assert!(ends.iter().all(|(x, _)| x.is_finite() && *x < 1.0));
    }
}
