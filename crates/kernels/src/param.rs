//! A trainable tensor that knows what it is and whose it is.

use candle_core::Var;
use serde::{Deserialize, Serialize};

/// What a parameter is. Weight decay, merging and statistics ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A matrix or a convolution's kernel.
    Weight,
    /// An additive vector.
    Bias,
    /// The scale of a normalisation layer.
    Norm,
    /// A table with one row per symbol.
    Embedding,
    /// A parameter of the objective, such as a trained task weight.
    Objective,
    /// A running statistic: saved with the model, never trained, decayed or merged.
    Buffer,
}

impl Kind {
    /// Whether gradients change it.
    pub fn is_trained(self) -> bool {
        self != Self::Buffer
    }

    /// Whether weight decay applies to it by default: to weights and embeddings only.
    pub fn is_decayed(self) -> bool {
        matches!(self, Self::Weight | Self::Embedding)
    }
}

/// Whose a parameter is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// All tasks share it.
    Shared,
    /// Only this task has it.
    Task(String),
}

/// A trainable tensor that knows what it is and whose it is. Cloning shares the tensor.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Var};
/// use taskweave_kernels::{Kind, Owner, Param};
/// let bias = Param::new(Var::zeros(3, DType::F32, &Device::Cpu)?, Kind::Bias, Owner::Task("class".into()));
/// assert!(bias.kind.is_trained() && !bias.kind.is_decayed());
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Param {
    /// The tensor.
    pub var: Var,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
}

impl Param {
    /// A parameter from its three parts.
    pub fn new(var: Var, kind: Kind, owner: Owner) -> Self {
        Self { var, kind, owner }
    }

    /// How many numbers it holds.
    pub fn count(&self) -> usize {
        self.var.elem_count()
    }
}
