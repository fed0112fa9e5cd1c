//! Convolution by candle's own, for other dtypes and devices.

use candle_core::Tensor;

use super::{Conv2d, Plan};
use crate::Result;

pub(super) fn composed(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (config, plan): (Conv2d, Plan),
) -> Result<Tensor> {
    let Conv2d { stride, mut padding, dilation, groups } = config;
    let ([h, w], [rows, columns], [kh, kw]) = (plan.window.image, plan.window.output, plan.window.kernel);
    let seen =
        [(rows, kh), (columns, kw)].map(|(windows, k)| (windows - 1) * stride + dilation * (k - 1) + 1);
    let mut x = x.clone();
    // What no window sees has to be the same below and on the right: candle takes the one for the other in its gradient.
    if h + 2 * padding - seen[0] != w + 2 * padding - seen[1] {
        x = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
        x = x.narrow(2, 0, seen[0])?.narrow(3, 0, seen[1])?.contiguous()?;
        padding = 0;
    }
    let y = x.conv2d(weight, padding, stride, dilation, groups)?;
    match bias {
        Some(bias) => Ok(y.broadcast_add(&bias.reshape((1, plan.out, 1, 1))?)?),
        None => Ok(y),
    }
}
