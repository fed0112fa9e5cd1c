//! Logarithm of the hyperbolic cosine: ℓ = log cosh d with d = x − t, quadratic near 0, linear far away.
//!
//! Computed as |d| + log(1 + e^−2|d|) − log 2, and below |d| = 0.03 as the series
//! d²/2 − d⁴/12 + d⁶/45 − 17d⁸/2520, where the other form cancels.

use candle_core::Tensor;
use taskweave_kernels::{Result, Target};

use super::{
    Criterion,
    elementwise::{elementwise, magnitude},
    softplus::log1p_exp_neg,
};
use crate::no_parameters::no_parameters;

/// Logarithm of the hyperbolic cosine of the error.
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Criterion, criterion::LogCosh};
/// let target = Target::new(Tensor::new(&[0f64, 0.0], &Device::Cpu)?)?;
/// let losses = LogCosh.losses(&Tensor::new(&[0f64, 800.0], &Device::Cpu)?, &target)?;
/// assert_eq!(losses.to_vec1::<f64>()?, [0.0, 800.0 - 2f64.ln()]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCosh;

no_parameters!(LogCosh);

impl Criterion for LogCosh {
    fn losses(&self, prediction: &Tensor, target: &Target) -> Result<Tensor> {
        elementwise(prediction, target, |x, t| Ok(log_cosh(&(x - t)?)?))
    }
}

fn log_cosh(d: &Tensor) -> candle_core::Result<Tensor> {
    let size = magnitude(d)?;
    let far = (&size + log1p_exp_neg(&size.affine(2.0, 0.0)?)?)?.affine(1.0, -std::f64::consts::LN_2)?;
    // Bounded before squaring: an overflow in the branch that is not taken would be NaN in the gradient.
    let square = size.minimum(1.0)?.sqr()?;
    let mut near = square.affine(-17.0 / 2520.0, 1.0 / 45.0)?;
    for coefficient in [-1.0 / 12.0, 0.5] {
        near = near.mul(&square)?.affine(1.0, coefficient)?;
    }
    size.lt(0.03)?.where_cond(&near.mul(&square)?, &far)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn small_errors_keep_their_digits_and_huge_ones_stay_finite() {
        let at = [1e-8f64, 1e-3, 0.029_999, 0.030_001, 0.5];
        let huge = Var::new(&[1e200f64], &Device::Cpu).unwrap();
        let slope =
            log_cosh(&huge).unwrap().backward().unwrap().get(&huge).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(slope, [1.0]);
        let d = Var::new(&at, &Device::Cpu).unwrap();
        let value = log_cosh(&d).unwrap();
        let slopes = value.backward().unwrap().get(&d).unwrap().to_vec1::<f64>().unwrap();
        for ((d, value), slope) in at.iter().zip(value.to_vec1::<f64>().unwrap()).zip(slopes) {
            // log cosh d = ½·log1p(sinh² d)
            let exact = 0.5 * d.sinh().powi(2).ln_1p();
            assert!((value - exact).abs() <= 1e-12 * exact, "{d}: {value} {exact}");
            assert!((slope - d.tanh()).abs() <= 1e-12 * d.tanh(), "{d}: {slope}");
        }
    }
}
