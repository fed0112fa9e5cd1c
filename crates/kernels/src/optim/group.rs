//! How one parameter is treated differently from the others.

use serde::{Deserialize, Serialize};

use super::range;
use crate::{Param, Result};

/// Factors on the learning rate and on the weight decay of a parameter.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `rate` | 1 | ≥ 0 | factor on the learning rate; 0 keeps the parameter as it is |
/// | `decay` | 1 for weights and embeddings, else 0 | ≥ 0 | factor on the rule's weight decay |
///
/// # Example
/// Biases learn twice as fast, the rest as by default.
/// ```
/// use candle_core::{DType, Device, Var};
/// use taskweave_kernels::{Kind, Named, Owner, Param};
/// use taskweave_kernels::optim::{Group, Optimizer, OptimizerConfig, Sgd};
/// let bias = Param::new(Var::zeros(3, DType::F32, &Device::Cpu)?, Kind::Bias, Owner::Shared);
/// assert_eq!(Group::of("bias", &bias), Group { rate: 1.0, decay: 0.0 });
/// let rule = OptimizerConfig::Sgd(Sgd::default());
/// Optimizer::with_groups(rule, Named::new([("bias", bias)])?, |name, param| match param.kind {
///     Kind::Bias => Group { rate: 2.0, ..Group::of(name, param) },
///     _ => Group::of(name, param),
/// })?;
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Factor on the learning rate.
    pub rate: f64,
    /// Factor on the weight decay of the rule.
    pub decay: f64,
}

impl Group {
    /// The default group of a parameter: no decay on norms, biases and parameters of the objective.
    pub fn of(_name: &str, param: &Param) -> Self {
        Self { rate: 1.0, decay: if param.kind.is_decayed() { 1.0 } else { 0.0 } }
    }

    pub(super) fn check(&self, name: &str) -> Result<()> {
        range::not_negative(&format!("rate factor of `{name}`"), self.rate)?;
        range::not_negative(&format!("decay factor of `{name}`"), self.decay)
    }
}
