//! Sums over gradients: whether all numbers are finite, and the squared norm.

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use rayon::prelude::*;

use super::pass::{Number, with_numbers};
use crate::{Error, Named, Result};

/// Numbers per partial sum. Fixed, so that a sum does not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// What is summed.
#[derive(Clone, Copy)]
pub(super) enum Term {
    /// 0 · x: the sum is zero, or NaN where any x is not finite.
    Zero,
    /// x²
    Square,
}

impl Term {
    #[inline(always)]
    fn of(self, x: f64) -> f64 {
        match self {
            Self::Zero => 0.0 * x,
            Self::Square => x * x,
        }
    }

    fn composed(self, tensor: &Tensor) -> CandleResult<Tensor> {
        // Metal has no f64.
        let wide = if tensor.device().is_metal() { DType::F32 } else { DType::F64 };
        let sum = match self {
            Self::Zero => tensor.affine(0.0, 0.0)?.sum_all(),
            Self::Square => tensor.to_dtype(wide)?.sqr()?.sum_all(),
        };
        sum?.to_dtype(wide)?.to_device(&Device::Cpu)?.to_dtype(DType::F64)
    }
}

/// Refuses gradients with a NaN or an infinity, naming the first such parameter.
pub(super) fn require_finite(gradients: &Named<Tensor>) -> Result<()> {
    for (name, gradient) in gradients.iter() {
        if sum(gradient, Term::Zero)? != 0.0 {
            return Err(Error::non_finite("gradient", name));
        }
    }
    Ok(())
}

/// The sum of a term over a tensor.
pub(super) fn sum(tensor: &Tensor, term: Term) -> Result<f64> {
    if tensor.elem_count() == 0 {
        return Ok(0.0);
    }
    let tensor = tensor.contiguous()?;
    Ok(match (tensor.device(), tensor.dtype()) {
        (Device::Cpu, DType::F32) => with_numbers::<f32, _>(&tensor, |x| total(x, term))?,
        (Device::Cpu, DType::F64) => with_numbers::<f64, _>(&tensor, |x| total(x, term))?,
        _ => term.composed(&tensor)?.to_scalar()?,
    })
}

fn total<T: Number>(numbers: &[T], term: Term) -> f64 {
    if numbers.len() <= CHUNK {
        return partial(numbers, term);
    }
    let partials: Vec<_> = numbers.par_chunks(CHUNK).map(|chunk| partial(chunk, term)).collect();
    partials.iter().sum()
}

/// Eight sums side by side, because one alone waits for every addition.
fn partial<T: Number>(numbers: &[T], term: Term) -> f64 {
    let (groups, rest) = numbers.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane += term.of(x.to_f64());
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|x| term.of(x.to_f64())).sum::<f64>()
}
