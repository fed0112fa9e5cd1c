//! log(1 + e^−x) for x ≥ 0, to full relative precision.

use candle_core::{Result, Tensor};

/// log(1 + e^−m) for m ≥ 0.
///
/// candle has no log1p, and log(1 + e) is 0 for e < 1e-16. Below e = 1e-3 the series
/// e − e²/2 + e³/3 − e⁴/4 + e⁵/5 is exact to 2e-16 relative.
pub(super) fn log1p_exp_neg(m: &Tensor) -> Result<Tensor> {
    let e = m.neg()?.exp()?;
    let mut series = e.affine(0.2, -0.25)?;
    for coefficient in [1.0 / 3.0, -0.5, 1.0] {
        series = series.mul(&e)?.affine(1.0, coefficient)?;
    }
    e.lt(1e-3)?.where_cond(&series.mul(&e)?, &e.affine(1.0, 1.0)?.log()?)
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
