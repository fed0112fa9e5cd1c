//! Inner products of the gradients of samples.

use candle_core::Tensor;

use super::{Call, Function, Gradient};
use crate::{Result, inner_products};

/// By one backward pass for each sample, with the cotangents of all others zero.
pub(crate) fn one_by_one(
    function: &(impl Function + ?Sized),
    call: &Call<'_>,
    cotangent: &Tensor,
) -> Result<Vec<f64>> {
    let batch = cotangent.dims()[0];
    let mut rows: Vec<Vec<Gradient>> = vec![Vec::new(); call.inputs.len()];
    for sample in 0..batch {
        let alone = cotangent.zeros_like()?;
        let alone = alone.slice_scatter0(&cotangent.narrow(0, sample, 1)?.contiguous()?, sample)?;
        for (rows, gradient) in rows.iter_mut().zip(function.backward(call, &alone)?) {
            rows.extend(gradient);
        }
    }
    let mut sums = vec![0.0; batch * batch];
    for (i, rows) in rows.iter().enumerate().filter(|(_, rows)| rows.len() == batch) {
        if call.wants(i) {
            sums.iter_mut().zip(inner_products(rows)?).for_each(|(sum, product)| *sum += product);
        }
    }
    Ok(sums)
}
