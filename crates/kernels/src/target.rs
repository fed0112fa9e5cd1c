//! Labels with a weight.

use candle_core::{DType, Tensor};

use crate::{Error, Result};

/// Labels and how much each of them counts.
///
/// Weight 0 means unlabeled, a weight between 0 and 1 the confidence of a pseudo-label, 1 a given label.
/// Missing labels, pseudo-labels and small-loss selection are this one concept.
///
/// # Shapes
/// - `value`: `[batch, …]`, u32 for classes, floating point for values.
/// - `weight`: `[batch]`, or the shape of `value` where every element has its own weight; floating point, ≥ 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// let labels = Tensor::new(&[3u32, 1, 0], &Device::Cpu)?;
/// let known = Tensor::new(&[1f32, 0.0, 1.0], &Device::Cpu)?;
/// let target = Target::weighted(labels, known)?;
/// assert_eq!(target.len(), 3);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Target {
    value: Tensor,
    weight: Tensor,
}

impl Target {
    /// Labels that all count fully.
    ///
    /// # Errors
    /// [`Error::Shape`] for a `value` without a batch dimension.
    pub fn new(value: Tensor) -> Result<Self> {
        let batch = batch_of(&value)?;
        let dtype = if value.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let weight = Tensor::ones(batch, dtype, value.device())?;
        Ok(Self { value, weight })
    }

    /// Labels with their weights.
    ///
    /// # Errors
    /// [`Error::Shape`] for a `weight` that is neither `[batch]` nor of the shape of `value`, and
    /// [`Error::DType`] for one that is not floating point. That it is finite and ≥ 0 is checked in the step,
    /// where the values are read anyway.
    pub fn weighted(value: Tensor, weight: Tensor) -> Result<Self> {
        let batch = batch_of(&value)?;
        if weight.dims() != [batch] && weight.dims() != value.dims() {
            return Err(Error::shape(
                "weight of a target",
                format!("[{batch}] or {:?}", value.dims()),
                weight.dims(),
            ));
        }
        if !weight.dtype().is_float() {
            return Err(Error::dtype("weight of a target", "a floating-point dtype", weight.dtype()));
        }
        Ok(Self { value, weight })
    }

    /// The labels, `[batch, …]`.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The weights, `[batch]` or the shape of the labels.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The weight of each sample `[batch]`: the mean over its elements where every element has its own.
    ///
    /// # Errors
    /// Only those of candle.
    pub fn sample_weight(&self) -> Result<Tensor> {
        match self.weight.rank() {
            1 => Ok(self.weight.clone()),
            _ => Ok(self.weight.flatten_from(1)?.mean(1)?),
        }
    }

    /// The batch size.
    pub fn len(&self) -> usize {
        self.value.dims().first().copied().unwrap_or(0)
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn batch_of(value: &Tensor) -> Result<usize> {
    value.dims().first().copied().ok_or_else(|| Error::shape("value of a target", "[batch, …]", value.dims()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_weight_of_a_sample_is_the_mean_of_its_elements() {
        let value = Tensor::zeros((2, 2), DType::U32, &Device::Cpu).unwrap();
        let weight = Tensor::new(&[[1f64, 0.0], [1.0, 1.0]], &Device::Cpu).unwrap();
        let target = Target::weighted(value, weight).unwrap();
        assert_eq!(target.sample_weight().unwrap().to_vec1::<f64>().unwrap(), [0.5, 1.0]);
    }

    #[test]
    fn misshapen_weights_are_refused() {
        let value = Tensor::zeros((2, 2), DType::U32, &Device::Cpu).unwrap();
        let three = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let whole = Tensor::zeros(2, DType::U32, &Device::Cpu).unwrap();
        let scalar = Tensor::new(1u32, &Device::Cpu).unwrap();
        assert!(matches!(Target::weighted(value.clone(), three), Err(Error::Shape { .. })));
        assert!(matches!(Target::weighted(value, whole), Err(Error::DType { .. })));
        assert!(matches!(Target::new(scalar), Err(Error::Shape { .. })));
    }
}
