//! Aggregation coordinate by coordinate, on the host in f64.

use candle_core::{DType, Device, Tensor};
use taskweave_kernels::autograd::Gradient;
use taskweave_kernels::{Error, Named, Result};

use super::Aggregated;
use crate::Jacobian;

/// Makes one value of the values that the tasks have at each coordinate, blocks and coordinates in order.
///
/// # Errors
/// [`Error::NonFinite`] with the task whose gradient holds a NaN or an infinity.
pub(super) fn by_coordinate(
    jacobian: &Jacobian,
    mut of: impl FnMut(&mut [f64]) -> f64,
) -> Result<Aggregated> {
    let mut gradient = Named::default();
    let Some(first) = jacobian.rows().values().next() else {
        return Ok(Aggregated { gradient, weights: None });
    };
    for (name, like) in first.iter() {
        let rows = jacobian.rows().try_map(|task, row| values(task, row.require("block", name)?))?;
        let mut column = vec![0.0; rows.len()];
        let count = rows.values().next().map_or(0, Vec::len);
        let mut one = |i: usize| {
            column.iter_mut().zip(rows.values()).for_each(|(value, row)| *value = row[i]);
            of(&mut column)
        };
        let found: Vec<f64> = (0..count).map(&mut one).collect();
        let dense = Tensor::from_vec(found, like.shape(), &Device::Cpu)?;
        let like = like.values();
        gradient.insert(name, Gradient::from(dense.to_dtype(like.dtype())?.to_device(like.device())?))?;
    }
    Ok(Aggregated { gradient, weights: None })
}

fn values(task: &str, block: &Gradient) -> Result<Vec<f64>> {
    let values = block.clone().into_dense()?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(Error::non_finite("gradient", task)),
    }
}
