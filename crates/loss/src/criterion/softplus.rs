//! log(1 + e^−x) for x ≥ 0, to full relative precision.

use candle_core::{Result, Tensor};
use taskweave_kernels::ops;

/// log(1 + e^−m) for m ≥ 0: the binary cross-entropy of the logit m for a positive element.
pub(super) fn log1p_exp_neg(m: &Tensor) -> Result<Tensor> {
    Ok(ops::bce_with_logits(m, &m.detach().ones_like()?, 1.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn value_and_slope_are_exact_from_zero_to_eight_hundred() {
        let at = [0.0f64, 1.0, 6.9, 6.92, 30.0, 60.0, 700.0, 800.0];
        let m = Var::new(&at, &Device::Cpu).unwrap();
        let value = log1p_exp_neg(&m).unwrap();
        let slopes = value.backward().unwrap().get(&m).unwrap().to_vec1::<f64>().unwrap();
        for ((m, value), slope) in at.iter().zip(value.to_vec1::<f64>().unwrap()).zip(slopes) {
            let exact = (-m).exp().ln_1p();
            assert!((value - exact).abs() <= 1e-12 * exact, "{m}: {value} {exact}");
            let exact = -1.0 / (1.0 + m.exp());
            assert!((slope - exact).abs() <= -1e-12 * exact, "{m}: {slope} {exact}");
        }
    }
}
