//! Dropout with a seeded mask.

use candle_core::{DType, Tensor};
use rand::RngCore;

use super::host;
use crate::{Error, Result, Rng};

/// `x ∘ m / (1 − p)` with `m` independent Bernoulli(1 − p); the identity for `p = 0`.
///
/// The mask is drawn from `rng` on the host, so that it is the same on every device.
/// Reference: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014.
///
/// # Errors
/// [`Error::Parameter`] for a `p` outside `[0, 1)`, [`Error::DType`] for whole numbers.
///
/// # Example
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use taskweave_kernels::{Rng, ops::dropout};
/// let x = Tensor::ones(1000, DType::F32, &Device::Cpu)?;
/// let y = dropout(&x, 0.5, &mut Rng::new(0))?.to_vec1::<f32>()?;
/// assert!(y.iter().all(|&v| v == 0.0 || v == 2.0));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn dropout(x: &Tensor, p: f64, rng: &mut Rng) -> Result<Tensor> {
    if !(0.0..1.0).contains(&p) {
        return Err(Error::parameter("dropout probability", "0 ≤ p < 1", p));
    }
    host::require_float(x, "input of dropout")?;
    if p == 0.0 {
        return Ok(x.clone());
    }
    let (threshold, scale) = ((p * f64::from(u32::MAX)) as u32, 1.0 / (1.0 - p));
    let mask = match x.dtype() {
        DType::F64 => Tensor::from_vec(drawn(x, rng, (threshold, scale)), x.shape(), x.device())?,
        _ => Tensor::from_vec(drawn(x, rng, (threshold, scale as f32)), x.shape(), x.device())?,
    };
    let mask = if mask.dtype() == x.dtype() { mask } else { mask.to_dtype(x.dtype())? };
    Ok((x * mask)?)
}

/// 0 for what is below the threshold, else the factor.
fn drawn<T: Copy + Default>(x: &Tensor, rng: &mut Rng, (threshold, scale): (u32, T)) -> Vec<T> {
    (0..x.elem_count()).map(|_| if rng.next_u32() < threshold { T::default() } else { scale }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn keeps_the_mean_and_drops_the_stated_share() {
        let x = Tensor::ones((100, 100), DType::F64, &Device::Cpu).unwrap();
        let y = dropout(&x, 0.3, &mut Rng::new(1)).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / 1e4;
        assert!((dropped - 0.3).abs() < 0.02, "{dropped}");
        assert!((y.iter().sum::<f64>() / 1e4 - 1.0).abs() < 0.03);
    }

    #[test]
    fn refuses_a_probability_of_one() {
        let x = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(dropout(&x, 1.0, &mut Rng::new(0)), Err(Error::Parameter { .. })));
        assert!(matches!(dropout(&x, f64::NAN, &mut Rng::new(0)), Err(Error::Parameter { .. })));
    }
}
