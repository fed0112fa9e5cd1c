//! The weights of a target on the host: checked, spread over its elements, and as shares within a sample.

use candle_core::{DType, Tensor};
use taskweave_kernels::{Error, Result, Target};

/// All numbers of a tensor in f64.
pub(crate) fn to_host(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

/// Weights as given, in f64.
///
/// # Errors
/// [`Error::Parameter`] for a weight that is negative or not finite.
pub(crate) fn checked(weight: &Tensor) -> Result<Vec<f64>> {
    let weights = to_host(weight)?;
    match weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
        Some(bad) => Err(Error::parameter("weight of a target", "a finite number ≥ 0", bad)),
        None => Ok(weights),
    }
}

/// The weight of every element of a target, in the order of its elements.
///
/// # Errors
/// [`Error::Parameter`] for a weight that is negative or not finite.
pub(crate) fn per_element(target: &Target) -> Result<Vec<f64>> {
    let weights = checked(target.weight())?;
    let elements = target.value().elem_count();
    if weights.len() == elements {
        return Ok(weights);
    }
    let per_sample = elements / target.len().max(1);
    Ok(weights.into_iter().flat_map(|w| std::iter::repeat_n(w, per_sample)).collect())
}

/// Scales the weights of each sample to a sum of 1; a sample whose weights are all 0 keeps them.
pub(crate) fn to_shares(weights: &mut [f64], per_sample: usize) {
    for sample in weights.chunks_mut(per_sample.max(1)) {
        let total: f64 = sample.iter().sum();
        if total > 0.0 {
            sample.iter_mut().for_each(|w| *w /= total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_weight_per_sample_reaches_its_elements() {
        let value = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let weight = Tensor::new(&[0.5f32, 0.0], &Device::Cpu).unwrap();
        let mut weights = per_element(&Target::weighted(value, weight).unwrap()).unwrap();
        assert_eq!(weights, [0.5, 0.5, 0.5, 0.0, 0.0, 0.0]);
        to_shares(&mut weights, 3);
        assert_eq!(weights, [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn bad_weights_are_named() {
        for bad in [-1f32, f32::NAN, f32::INFINITY] {
            let error = checked(&Tensor::new(&[1f32, bad], &Device::Cpu).unwrap()).unwrap_err();
            assert!(error.to_string().starts_with("weight of a target: expected a finite number ≥ 0"));
        }
    }
}
