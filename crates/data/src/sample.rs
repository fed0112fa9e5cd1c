//! One example: its inputs by view and its labels by task.

use candle_core::{Device, Tensor};
use taskweave_kernels::{Error, Named, Result};

/// One example of a data set, on the CPU and without a batch dimension.
///
/// A task that is missing from `targets` is unlabeled for this sample; so is one whose label has weight 0.
///
/// # Shapes
/// - an image: f32 `[channels, height, width]` in \[0, 1\];
/// - a class: u32 `[]`; a mask: u32 `[height, width]`; a value: floating point of any shape.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_data::{Label, Sample};
/// use taskweave_kernels::Named;
/// let image = Tensor::zeros((3, 8, 8), DType::F32, &Device::Cpu)?;
/// let sample = Sample {
///     inputs: Named::new([("image", image)])?,
///     targets: Named::new([("class", Label::class(4)?)])?,
/// };
/// assert_eq!(sample.targets["class"].value().to_scalar::<u32>()?, 4);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sample {
    /// What the network sees, by view.
    pub inputs: Named<Tensor>,
    /// What it should say, by task.
    pub targets: Named<Label>,
}

/// The label of one sample for one task, and how much it counts.
///
/// # Example
/// ```
/// use taskweave_data::Label;
/// let guess = Label::weighted(Label::class(4)?.value().clone(), 0.7)?;
/// assert_eq!(guess.weight(), 0.7);
/// assert!(Label::weighted(guess.value().clone(), -1.0).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Label {
    value: Tensor,
    weight: f32,
}

impl Label {
    /// A label that counts fully.
    pub fn new(value: Tensor) -> Self {
        Self { value, weight: 1.0 }
    }

    /// A label of weight 0 (unlabeled), between 0 and 1 (a guess with a confidence), or any other weight ≥ 0.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a weight that is negative or not finite.
    pub fn weighted(value: Tensor, weight: f32) -> Result<Self> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::parameter("weight of a label", "a finite number ≥ 0", weight));
        }
        Ok(Self { value, weight })
    }

    /// A class that counts fully, u32 `[]`.
    ///
    /// # Errors
    /// Only those of candle.
    pub fn class(class: u32) -> Result<Self> {
        Ok(Self::new(Tensor::new(class, &Device::Cpu)?))
    }

    /// The label without a batch dimension.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// How much it counts.
    pub fn weight(&self) -> f32 {
        self.weight
    }

    /// The same weight on another value, as a transform makes it.
    pub fn with_value(&self, value: Tensor) -> Self {
        Self { value, weight: self.weight }
    }
}
