//! Bounds on gradients: by their common norm, or number by number.
//!
//! ```text
//! by norm:   n = √(Σ g²) over all gradients,   g ← min(1, max / (n + 1e-6)) · g
//! by value:  g ← min(max(g, −max), max)
//! ```
//! Variants: PyTorch's `clip_grad_norm_` and `clip_grad_value_`; the norm is summed in f64 here.
//! Reference: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
//! algorithm 1, <https://proceedings.mlr.press/v28/pascanu13.html>.

use super::reduce::{require_finite, squares};
use super::{IntoGradient, range};
use crate::{Error, Named, Result};

/// Scales all gradients by one factor, so that their common 2-norm is at most `max`. Returns them and the norm
/// before.
///
/// `max` is a finite number > 0.
///
/// # Errors
/// [`Error::Parameter`] for a `max` outside its range; [`Error::NonFinite`] with the name of a gradient that
/// has a NaN or an infinity, or of all of them where only the sum of the squares is too large for an f64.
///
/// # Example
/// The norm of (3, 4) is 5.
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::{Named, optim::clip_norm};
/// let gradients = Named::new([
///     ("weight", Tensor::new(&[3f64], &Device::Cpu)?),
///     ("bias", Tensor::new(&[4f64], &Device::Cpu)?),
/// ])?;
/// let (clipped, norm) = clip_norm(&gradients, 1.0)?;
/// assert_eq!(norm, 5.0);
/// assert!((clipped["weight"].to_vec1::<f64>()?[0] - 0.6).abs() < 1e-6);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn clip_norm<G: IntoGradient>(gradients: &Named<G>, max: f64) -> Result<(Named<G>, f64)> {
    range::positive("maximal norm", max)?;
    let squares = gradients.try_map(|_, gradient| squares(&gradient.clone().into()))?;
    let norm = squares.values().sum::<f64>().sqrt();
    if !norm.is_finite() {
        require_finite(&gradients.map(|_, gradient| gradient.clone().into()))?;
        return Err(Error::non_finite("norm of the gradients", all(gradients)));
    }
    let factor = max / (norm + 1e-6);
    if factor >= 1.0 {
        return Ok((gradients.clone(), norm));
    }
    Ok((gradients.try_map(|_, gradient| gradient.map_values(|values| values.affine(factor, 0.0)))?, norm))
}

/// Moves every number of every gradient into `[−max, max]`.
///
/// `max` is a finite number > 0.
///
/// # Errors
/// [`Error::Parameter`] for a `max` outside its range; [`Error::NonFinite`] with the name of a gradient that
/// has a NaN or an infinity.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::{Named, optim::clip_value};
/// let gradients = Named::new([("weight", Tensor::new(&[3f32, -4.0, 0.5], &Device::Cpu)?)])?;
/// assert_eq!(clip_value(&gradients, 1.0)?["weight"].to_vec1::<f32>()?, [1.0, -1.0, 0.5]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn clip_value<G: IntoGradient>(gradients: &Named<G>, max: f64) -> Result<Named<G>> {
    range::positive("maximal value", max)?;
    require_finite(&gradients.map(|_, gradient| gradient.clone().into()))?;
    gradients.try_map(|_, gradient| gradient.map_values(|values| values.clamp(-max, max)))
}

fn all<G>(gradients: &Named<G>) -> String {
    gradients.names().collect::<Vec<_>>().join("`, `")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::{Gradient, RowGradient};
    use candle_core::{DType, Device, Tensor};

    fn named(values: &[&[f64]]) -> Named<Tensor> {
        let tensor = |v: &&[f64]| Tensor::new(*v, &Device::Cpu).unwrap();
        Named::new(values.iter().enumerate().map(|(i, v)| (format!("g{i}"), tensor(v)))).unwrap()
    }

    #[test]
    fn gradients_within_the_bound_stay_as_they_are() {
        let (clipped, norm) = clip_norm(&named(&[&[1.0, 2.0], &[2.0]]), 3.1).unwrap();
        assert_eq!(norm, 3.0);
        assert_eq!(clipped["g0"].to_vec1::<f64>().unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn one_factor_scales_all_gradients_and_strided_ones_too() {
        let matrix = Tensor::new(&[[2f32, 0.0], [1.0, 2.0]], &Device::Cpu).unwrap().t().unwrap();
        let empty = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        let (clipped, norm) = clip_norm(&Named::new([("w", matrix), ("none", empty)]).unwrap(), 1.5).unwrap();
        assert_eq!(norm, 3.0);
        let factor = (1.5 / (3.0 + 1e-6)) as f32;
        let expected = [[2.0 * factor, factor], [0.0, 2.0 * factor]];
        assert_eq!(clipped["w"].to_vec2::<f32>().unwrap(), expected);
        assert_eq!(clipped["none"].dims(), [0, 3]);
    }

    #[test]
    fn the_norm_of_many_numbers_is_summed_in_f64() {
        let ones = Tensor::full(0.1f32, 1_000_003, &Device::Cpu).unwrap();
        let (_, norm) = clip_norm(&Named::new([("w", ones)]).unwrap(), 1.0).unwrap();
        assert!((norm / (f64::from(0.1f32) * 1_000_003f64.sqrt()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn gradients_by_rows_are_bounded_as_dense_ones() {
        let cases = [(vec![0, 3, 4, 6000], 7), (vec![], 3), (vec![1, 5, 999], 16), (vec![2], 20_000)];
        for (rows, width) in cases {
            let height = if width > 1000 { 4 } else { 6001 };
            let numbers: Vec<f32> = (0..rows.len() * width).map(|i| (i as f32 * 0.7).sin()).collect();
            let values = Tensor::from_vec(numbers, (rows.len(), width), &Device::Cpu).unwrap();
            let rows = Gradient::Rows(RowGradient::new(rows, values, height).unwrap());
            let dense = Named::new([("w", rows.clone().into_dense().unwrap())]).unwrap();
            let rows = Named::new([("w", rows)]).unwrap();
            let same = |rows: &Named<Gradient>, dense: &Named<Tensor>| {
                let rows = rows["w"].clone().into_dense().unwrap();
                assert_eq!(rows.to_vec2::<f32>().unwrap(), dense["w"].to_vec2::<f32>().unwrap());
            };
            let (by_rows, norms) = (clip_norm(&rows, 0.5).unwrap(), clip_norm(&dense, 0.5).unwrap());
            assert_eq!(by_rows.1.to_bits(), norms.1.to_bits());
            same(&by_rows.0, &norms.0);
            same(&clip_value(&rows, 0.3).unwrap(), &clip_value(&dense, 0.3).unwrap());
        }
    }

    #[test]
    fn the_composed_norm_is_the_same() {
        let half = Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap().to_dtype(DType::BF16).unwrap();
        assert_eq!(clip_norm(&Named::new([("w", half)]).unwrap(), 1.0).unwrap().1, 5.0);
    }

    #[test]
    fn bad_gradients_and_bounds_are_named() {
        for bad in [f64::NAN, f64::INFINITY] {
            let gradients = named(&[&[1.0], &[2.0, bad]]);
            let expected = "gradient of `g1` is not finite";
            assert_eq!(clip_norm(&gradients, 1.0).unwrap_err().to_string(), expected);
            assert_eq!(clip_value(&gradients, 1.0).unwrap_err().to_string(), expected);
            assert!(matches!(clip_norm(&named(&[]), bad), Err(Error::Parameter { .. })));
        }
        assert!(matches!(clip_value(&named(&[]), 0.0), Err(Error::Parameter { .. })));
        let huge = clip_norm(&named(&[&[1e200], &[1.0]]), 1.0).unwrap_err();
        assert_eq!(huge.to_string(), "norm of the gradients of `g0`, `g1` is not finite");
    }
}
