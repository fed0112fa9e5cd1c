//! The conventions that libraries differ in: what weights are multiplied by, what heads learn, at what length gradients are
//! balanced.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

/// What the weights of a balance are multiplied by, given K tasks (or samples) at the step.
///
/// Some methods give weights of about 1 each, others weights with the sum 1: the same learning rate is then K times as
/// large for one as for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// 1: the sum of the gradients by the weights of the method.
    #[default]
    Sum,
    /// 1/K: the mean of that sum's terms.
    Mean,
    /// K: for weights with the sum 1, the size of the plain sum.
    TimesK,
}

impl Scale {
    pub(super) fn factor(self, rows: usize) -> f64 {
        match self {
            Self::Sum => 1.0,
            Self::Mean => 1.0 / rows.max(1) as f64,
            Self::TimesK => rows as f64,
        }
    }
}

/// What the parameters of a task's own head get where gradients are balanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heads {
    /// The gradient of their own loss, as the scalarizer weighs it.
    #[default]
    Unit,
    /// The same times the weight that the task gets.
    Weighted,
}

/// What every gradient is divided by before the method sees it. The update is made of the divided gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// Its 2-norm; a gradient of 0 stays 0.
    L2,
    /// Its loss, which has to be > 0.
    Loss,
    /// Both.
    LossPlus,
}

impl Normalize {
    pub(super) fn needs_norms(self) -> bool {
        matches!(self, Self::L2 | Self::LossPlus)
    }

    /// One divisor per row.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a loss that is not > 0 and would be one.
    pub(super) fn divisors(self, norms: &[f64], losses: &Named<f64>) -> Result<Vec<f64>> {
        let norm = |i: usize| norms.get(i).copied().filter(|norm| *norm > 0.0).unwrap_or(1.0);
        let loss = |name: &str, loss: f64| match loss > 0.0 {
            true => Ok(loss),
            false => Err(Error::parameter(format!("loss of `{name}`, to divide by"), "a number > 0", loss)),
        };
        losses
            .iter()
            .enumerate()
            .map(|(i, (name, value))| match self {
                Self::None => Ok(1.0),
                Self::L2 => Ok(norm(i)),
                Self::Loss => loss(name, *value),
                Self::LossPlus => Ok(norm(i) * loss(name, *value)?),
            })
            .collect()
    }
}
