//! Affine map.

use candle_core::Tensor;

use crate::{Error, Result};

/// `x Wᵀ + b` over the last dimension.
///
/// # Shapes
/// `x [.., in]`, `weight [out, in]`, `bias [out]` → `[.., out]`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] where `x` has no dimension `in` last.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1f32, 2.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[3f32, 4.0]], &Device::Cpu)?;
/// let bias = Tensor::new(&[5f32], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::linear(&x, &weight, Some(&bias))?;
/// assert_eq!(y.to_vec2::<f32>()?, [[16.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (out, width) = weight.dims2()?;
    let Some((&last, leading)) = x.dims().split_last() else {
        return Err(Error::shape("input of linear", format!("[.., {width}]"), x.dims()));
    };
    if last != width {
        return Err(Error::shape("input of linear", format!("[.., {width}]"), x.dims()));
    }
    let rows = leading.iter().product::<usize>();
    let mut y = x.reshape((rows, width))?.matmul(&weight.t()?)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    Ok(y.reshape([leading, &[out]].concat())?)
}
