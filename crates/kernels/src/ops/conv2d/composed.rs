//! Convolution by candle's own, for other dtypes and devices.

use candle_core::Tensor;

use super::Plan;
use crate::Result;
use crate::ops::unfold::Window;

pub(super) fn composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, plan: Plan) -> Result<Tensor> {
    let Window { image: [h, w], kernel, output, stride, mut padding, dilation, .. } = plan.window;
    let seen: [usize; 2] = std::array::from_fn(|i| (output[i] - 1) * stride + dilation * (kernel[i] - 1) + 1);
    let mut x = x.clone();
    // What no window sees has to be the same below and on the right: candle takes the one for the other in its gradient.
    if h + 2 * padding - seen[0] != w + 2 * padding - seen[1] {
        x = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
        x = x.narrow(2, 0, seen[0])?.narrow(3, 0, seen[1])?.contiguous()?;
        padding = 0;
    }
    let y = x.conv2d(weight, padding, stride, dilation, plan.groups)?;
    match bias {
        Some(bias) => Ok(y.broadcast_add(&bias.reshape((1, plan.out, 1, 1))?)?),
        None => Ok(y),
    }
}
