//! Binary cross-entropy on logits, number by number.

use candle_core::{Tensor, WithDType};
use rayon::prelude::*;

use super::activation::{CHUNK, both};
use super::host::{self, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::simd::wide;
use crate::{Error, Result};

/// 1, 1/3, 1/5, …: the series of artanh.
const ARTANH: [f64; 16] = {
    let mut terms = [0.0; 16];
    let mut k = 0;
    while k < 16 {
        terms[k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    terms
};

/// `−p t log σ(x) − (1 − t) log(1 − σ(x))`, p being `pos_weight`.
///
/// Computed as `(1 + (p − 1) t) log(1 + e^−|x|) + (1 − t) max(x, 0) + p t max(−x, 0)`, which neither overflows nor
/// cancels. The slope in x is `(1 + (p − 1) t) σ(x) − p t`, which is σ(x) − t where p is 1.
///
/// # Shapes
/// `x` and `targets` of one shape and floating-point dtype, which are those of the result; targets are meant to
/// lie in [0, 1].
///
/// # Errors
/// [`Error::Shape`] and [`Error::DType`] where the two differ, and [`Error::Parameter`] for a `pos_weight` that is
/// not a finite number > 0.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[-800f64, -800.0, 0.0], &Device::Cpu)?;
/// let targets = Tensor::new(&[1f64, 0.0, 0.5], &Device::Cpu)?;
/// let losses = taskweave_kernels::ops::bce_with_logits(&x, &targets, 1.0)?.to_vec1::<f64>()?;
/// assert_eq!(losses[..2], [800.0, 0.0]);
/// assert!((losses[2] - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn bce_with_logits(x: &Tensor, targets: &Tensor, pos_weight: f64) -> Result<Tensor> {
    if targets.dims() != x.dims() {
        return Err(Error::shape("targets of bce_with_logits", format!("{:?}", x.dims()), targets.dims()));
    }
    if !x.dtype().is_float() {
        return Err(Error::dtype("logits", "a floating-point dtype", x.dtype()));
    }
    if targets.dtype() != x.dtype() {
        let expected = format!("{:?}, as the logits", x.dtype());
        return Err(Error::dtype("targets of bce_with_logits", expected, targets.dtype()));
    }
    if !(pos_weight.is_finite() && pos_weight > 0.0) {
        return Err(Error::parameter("pos_weight", "a finite number > 0", pos_weight));
    }
    if !host::applies(x) {
        return composed(x, targets, pos_weight);
    }
    let (logits, values) = (x.contiguous()?, targets.contiguous()?);
    for_real!(x.dtype(), T => {
        let (one, p) = (T::from_f64(1.0), T::from_f64(pos_weight));
        let losses = both::<T>(&host::read(&logits)?, &host::read(&values)?, |x, t| {
            let Parts { tail, above, below, .. } = Parts::of(x);
            tail * (one + (p - one) * t) + ((one - t) * above + p * t * below)
        });
        apply(Bce { pos_weight }, &[x, targets], losses, x.shape())
    })
}

fn composed(x: &Tensor, t: &Tensor, pos_weight: f64) -> Result<Tensor> {
    // |x| and (|x| ± x)/2 rather than candle's abs and relu: the slopes at x = 0 add up to σ(0) − t exactly.
    let size = x.maximum(&x.neg()?)?;
    let above = (&size + x)?.affine(0.5, 0.0)?;
    let below = (&size - x)?.affine(0.5, 0.0)?;
    let positive = below.mul(t)?.affine(pos_weight, 0.0)?;
    let negative = above.mul(&t.affine(-1.0, 1.0)?)?;
    let tail = log1p(&size.neg()?.exp()?)?;
    Ok((tail.mul(&t.affine(pos_weight - 1.0, 1.0)?)? + (positive + negative)?)?)
}

/// log(1 + e). candle has no log1p, and log(1 + e) is 0 for e < 1e-16; below 1e-3 the series
/// e − e²/2 + e³/3 − e⁴/4 + e⁵/5 is exact to 2e-16 relative.
fn log1p(e: &Tensor) -> candle_core::Result<Tensor> {
    let mut series = e.affine(0.2, -0.25)?;
    for coefficient in [1.0 / 3.0, -0.5, 1.0] {
        series = series.mul(e)?.affine(1.0, coefficient)?;
    }
    e.lt(1e-3)?.where_cond(&series.mul(e)?, &e.affine(1.0, 1.0)?.log()?)
}

/// What losses and slopes at a logit are made of.
struct Parts<T> {
    /// log(1 + e^−|x|)
    tail: T,
    /// max(x, 0)
    above: T,
    /// max(−x, 0)
    below: T,
    /// σ(x), to full relative precision.
    sigmoid: T,
}

impl<T: Exp> Parts<T> {
    #[inline(always)]
    fn of(x: T) -> Self {
        let (zero, one) = (T::zero(), T::one());
        let negative = x < zero;
        let size = if negative { zero - x } else { x };
        let e = (zero - size).exp_fast();
        let large = one / (one + e);
        Self {
            tail: log1p_fast(e),
            // NaN goes on in what is above.
            above: if negative { zero } else { x },
            below: if negative { size } else { zero },
            sigmoid: if negative { e * large } else { large },
        }
    }
}

/// log(1 + e) = 2 artanh(e / (2 + e)) for e in [0, 1].
#[inline(always)]
fn log1p_fast<T: Exp>(e: T) -> T {
    let s = e / (T::one() + T::one() + e);
    let (square, terms) = (s * s, if size_of::<T>() == 4 { 7 } else { 16 });
    let sum = ARTANH[..terms].iter().rev().fold(T::zero(), |sum, &c| sum * square + T::from_f64(c));
    (s + s) * sum
}

/// dy ∘ f(x, t)
fn pulled<T: Exp>(dy: &[T], [x, t]: [&[T]; 2], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let mut slopes = both(x, t, f);
    slopes.par_chunks_mut(CHUNK).zip(dy.par_chunks(CHUNK)).for_each(|(slopes, dy)| {
        wide(
            #[inline(always)]
            || slopes.iter_mut().zip(dy).for_each(|(slope, &dy)| *slope *= dy),
        );
    });
    slopes
}

struct Bce {
    pos_weight: f64,
}

impl Bce {
    fn gradients<T: Exp>(&self, call: &Call<'_>, dy: &[T]) -> Result<Vec<Option<Gradient>>> {
        let (logits, targets) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let (x, t) = (host::read::<T>(&logits)?, host::read::<T>(&targets)?);
        let (one, p) = (T::one(), T::from_f64(self.pos_weight));
        let dx = || pulled(dy, [&x, &t], |x, t| (one + (p - one) * t) * Parts::of(x).sigmoid - p * t);
        let dt = || {
            pulled(dy, [&x, &t], |x, _| {
                let Parts { tail, above, below, .. } = Parts::of(x);
                (p - one) * tail + p * below - above
            })
        };
        Ok(vec![
            call.wants(0).then(|| host::tensor(dx(), &logits)).transpose()?.map(Gradient::from),
            call.wants(1).then(|| host::tensor(dt(), &targets)).transpose()?.map(Gradient::from),
        ])
    }
}

impl Function for Bce {
    fn name(&self) -> &'static str {
        "bce_with_logits"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        for_real!(dy.dtype(), T => self.gradients::<T>(call, &host::read(&dy)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    const POINTS: [f64; 15] =
        [-800.0, -60.0, -7.0, -6.9, -1.3, -0.5, -1e-9, 0.0, 1e-9, 0.5, 2.1, 6.9, 30.0, 60.0, 700.0];

    #[test]
    fn the_logarithm_has_all_its_digits() {
        for e in [0.0, 1e-300, 1e-20, 1e-9, 0.01, 0.1, 0.5, 0.9, 1.0f64] {
            assert!((log1p_fast(e) - e.ln_1p()).abs() <= 4e-16 * e, "{e}");
            let (single, exact) = (log1p_fast(e as f32), f64::from(e as f32).ln_1p());
            assert!((f64::from(single) - exact).abs() <= 3e-7 * exact, "{e}");
        }
    }

    #[test]
    fn the_composition_is_the_same() {
        let x = Var::new(&POINTS, &Device::Cpu).unwrap();
        for (t, pos_weight) in [(0.0, 1.0), (1.0, 1.0), (0.3, 1.0), (1.0, 3.0), (0.6, 0.2)] {
            let t = Var::from_tensor(&(x.ones_like().unwrap() * t).unwrap()).unwrap();
            let found = [bce_with_logits, composed].map(|f| {
                let y = f(&x, &t, pos_weight).unwrap();
                let gradients = y.sum_all().unwrap().backward().unwrap();
                let values = [&y, gradients.get(&x).unwrap(), gradients.get(&t).unwrap()];
                values.map(|v| v.to_vec1::<f64>().unwrap()).concat()
            });
            // The composition rounds slopes to those of numbers around 1.
            for (fused, composed) in found[0].iter().zip(&found[1]) {
                assert!((fused - composed).abs() <= 1e-14 * (1.0 + composed.abs()), "{fused} {composed}");
            }
        }
    }
}
