//! Transposed convolution: the gradient of a convolution with respect to its input, as a layer.
//!
//! ```text
//! y[b, o, i·s + u·d − p, j·s + v·d − p] += w[c, o, u, v] · x[b, c, i, j]     then + bias[o]
//! ```
//!
//! The kernel times an image gives a matrix of windows, which are folded onto the result. On the way back the
//! windows of the gradient are unfolded, and multiplied by the kernel and by the image. The backward pass takes
//! images in a fixed number of parts whose weight gradients are added in order.
//! Reference: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
//! <https://arxiv.org/abs/1603.07285>.

use candle_core::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::conv2d::FARTHEST;
use super::fresh::{fresh, fresh_beside};
use super::host::{self, Real, for_real};
use super::lanes;
use super::layer_norm::values_or;
use super::resize::dims4;
use super::unfold::Window;
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::gemm::{Matrix, Onto, multiply};
use crate::math::Exp;
use crate::simd::wide;
use crate::{Error, Result};

/// Parts that the images of a batch are split into for the backward pass, whatever the number of threads.
const PARTS: usize = 8;

/// The geometry of a transposed convolution.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `stride` | 1 | ≥ 1 | distance between windows of the result |
/// | `padding` | 0 | ≥ 0 | rows and columns cut off around the result |
/// | `output_padding` | 0 | < stride or < dilation | rows and columns added below and to the right of it |
/// | `dilation` | 1 | ≥ 1 | distance between the kernel's points |
/// | `groups` | 1 | divides both channel counts | independent convolutions side by side |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Distance between windows of the result.
    pub stride: usize,
    /// Rows and columns cut off around the result.
    pub padding: usize,
    /// Rows and columns added below and to the right of the result.
    pub output_padding: usize,
    /// Distance between the kernel's points.
    pub dilation: usize,
    /// Independent convolutions side by side.
    pub groups: usize,
}

impl Default for ConvTranspose2d {
    fn default() -> Self {
        Self { stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1 }
    }
}

/// Spreads every pixel over a window with a kernel, and adds where windows meet.
///
/// # Shapes
/// `x [batch, in, h, w]`, `weight [in, out / groups, kh, kw]`, `bias [out]` → `[batch, out, h', w']` with
/// `h' = (h − 1)·stride − 2·padding + dilation·(kh − 1) + output_padding + 1`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Parameter`] for a geometry out of range, [`Error::Shape`] where the shapes do not fit together or
/// nothing is left of the result, [`Error::DType`] where the dtypes differ.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{ConvTranspose2d, conv_transpose2d};
/// let x = Tensor::new(&[[[[1f32, 2.0]]]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[[[1f32, 10.0]]]], &Device::Cpu)?;
/// let y = conv_transpose2d(&x, &weight, None, ConvTranspose2d::default())?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.0, 12.0, 20.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2d,
) -> Result<Tensor> {
    let plan = Plan::new(x, weight, config)?;
    plan.check([Some(weight), bias], x)?;
    if !host::applies(x) {
        return composed(x, weight, bias, config);
    }
    let (input, kernel) = (x.contiguous()?, weight.contiguous()?);
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    let [h, w] = plan.window.image;
    for_real!(x.dtype(), T => {
        let bias = values_or::<T>(bias, (plan.out(), 0.0))?;
        let y = plan.forward::<T>([&host::read(&input)?, &host::read(&kernel)?], &bias);
        apply(plan, &inputs, y, (plan.batch, plan.out(), h, w))
    })
}

/// Group by group, because candle's own has no groups.
fn composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: ConvTranspose2d) -> Result<Tensor> {
    let ConvTranspose2d { stride, padding, output_padding, dilation, groups } = config;
    let pairs = x.chunk(groups, 1)?.into_iter().zip(weight.chunk(groups, 0)?);
    let of_group = |(x, weight): (Tensor, Tensor)| {
        x.contiguous()?.conv_transpose2d(&weight.contiguous()?, padding, output_padding, stride, dilation)
    };
    let y = Tensor::cat(&pairs.map(of_group).collect::<candle_core::Result<Vec<_>>>()?, 1)?;
    match bias {
        Some(bias) => Ok(y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?),
        None => Ok(y),
    }
}

/// All sizes of one transposed convolution, checked against each other.
#[derive(Clone, Copy)]
struct Plan {
    batch: usize,
    groups: usize,
    /// Input channels of a group.
    inner: usize,
    /// The windows over one group of the result, one for each pixel of `x`.
    window: Window,
}

impl Plan {
    fn new(x: &Tensor, weight: &Tensor, config: ConvTranspose2d) -> Result<Self> {
        let [batch, channels, h, w] = dims4(x, "input of conv_transpose2d")?;
        let [inner, per_group, kh, kw] = dims4(weight, "weight of conv_transpose2d")?;
        let ConvTranspose2d { stride, padding, output_padding, dilation, groups } = config;
        if [stride, dilation, groups].contains(&0) || output_padding >= stride.max(dilation) {
            let expected = "stride, dilation and groups ≥ 1, output_padding below stride or dilation";
            return Err(Error::parameter("conv_transpose2d", expected, format!("{config:?}")));
        }
        if inner != channels || channels % groups != 0 || channels * per_group * kh * kw == 0 {
            let expected = format!("[{channels} divisible by {groups}, out / {groups}, ≥ 1, ≥ 1]");
            return Err(Error::shape("weight of conv_transpose2d", expected, weight.dims()));
        }
        let side = |size: usize, kernel: usize| {
            let windows = size.checked_sub(1)?.checked_mul(stride)?;
            let reach = dilation.checked_mul(kernel - 1)?.checked_add(output_padding)?.checked_add(1)?;
            let side = windows.checked_add(reach)?.checked_sub(padding.checked_mul(2)?)?;
            (1..=FARTHEST).contains(&side).then_some(side)
        };
        let (Some(height), Some(width)) = (side(h, kh), side(w, kw)) else {
            let expected = format!("an image of which {config:?} makes 1 to {FARTHEST} rows and columns");
            return Err(Error::shape("input of conv_transpose2d", expected, x.dims()));
        };
        let (image, kernel, output) = ([height, width], [kh, kw], [h, w]);
        let window = Window { channels: per_group, image, kernel, output, stride, padding, dilation };
        Ok(Self { batch, groups, inner: channels / groups, window })
    }

    fn check(&self, parameters: [Option<&Tensor>; 2], x: &Tensor) -> Result<()> {
        if let Some(bias) = parameters[1].filter(|b| b.dims() != [self.out()]) {
            return Err(Error::shape("bias of conv_transpose2d", format!("[{}]", self.out()), bias.dims()));
        }
        if let Some(tensor) = parameters.into_iter().flatten().find(|t| t.dtype() != x.dtype()) {
            let expected = format!("{:?}, as the input", x.dtype());
            return Err(Error::dtype("parameters of conv_transpose2d", expected, tensor.dtype()));
        }
        Ok(())
    }

    fn out(&self) -> usize {
        self.groups * self.window.channels
    }

    /// Values of one group of an image, of the kernel, and of a result.
    fn group(&self) -> [usize; 3] {
        let image = self.inner * self.window.positions();
        [image, self.inner * self.window.depth(), self.window.image_len()]
    }

    /// Values of an image and of a result.
    fn lens(&self) -> [usize; 2] {
        let [image, _, result] = self.group();
        [self.groups * image, self.groups * result]
    }

    fn forward<T: Real>(&self, [x, weight]: [&[T]; 2], bias: &[T]) -> Vec<T> {
        let ([image, kernel, result], [image_len, result_len]) = (self.group(), self.lens());
        let positions = self.window.positions();
        fresh(self.batch * result_len, result_len, |start, y| {
            let mut spread = vec![T::zero(); self.window.depth() * positions];
            let plane = result / self.window.channels;
            y.chunks_mut(plane).zip(bias).for_each(|(y, &b)| y.fill(b));
            let x = x[start / result_len * image_len..].chunks(image);
            for (y, (x, weight)) in y.chunks_mut(result).zip(x.zip(weight.chunks(kernel))) {
                let weight = Matrix::rows(weight, self.window.depth()).transposed();
                multiply(Onto::Nothing, &mut spread, weight, Matrix::rows(x, positions));
                self.window.fold(&mut spread, y.chunks_mut(result));
            }
        })
    }

    fn gradients<T: Exp>(&self, call: &Call<'_>, dy: &[T]) -> Result<Vec<Option<Gradient>>> {
        let (x, weight) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let mut gradients = vec![None; call.inputs.len()];
        if call.wants(0) || call.wants(1) {
            let (dx, dw) = self.products([&host::read(&x)?, dy], &host::read::<T>(&weight)?);
            gradients[0] = Some(host::tensor(dx, &x)?.into());
            gradients[1] = Some(host::tensor(dw, &weight)?.into());
        }
        if call.wants(2) {
            gradients[2] = Some(host::tensor(self.bias(dy), &call.inputs[2])?.into());
        }
        Ok(gradients)
    }

    /// dx and dw.
    fn products<T: Real>(&self, [x, dy]: [&[T]; 2], weight: &[T]) -> (Vec<T>, Vec<T>) {
        let [image_len, result_len] = self.lens();
        let per_part = self.batch.div_ceil(PARTS).max(1);
        let (dx, parts) = fresh_beside(x.len(), per_part * image_len, |start, dx| {
            let mut dw = vec![T::zero(); weight.len()];
            let mut windows = vec![T::zero(); self.window.depth() * self.window.positions()];
            let x = x[start..].chunks(image_len);
            let dy = dy[start / image_len * result_len..].chunks(result_len);
            for (dx, (x, dy)) in dx.chunks_mut(image_len).zip(x.zip(dy)) {
                self.image((dx, &mut dw), [x, dy, weight], &mut windows);
            }
            dw
        });
        let mut dw = vec![T::zero(); weight.len()];
        for part in parts {
            dw.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
        (dx, dw)
    }

    fn image<T: Real>(&self, (dx, dw): (&mut [T], &mut [T]), [x, dy, weight]: [&[T]; 3], scratch: &mut [T]) {
        let ([image, kernel, result], depth) = (self.group(), self.window.depth());
        let positions = self.window.positions();
        for group in 0..self.groups {
            let span = |len: usize| group * len..(group + 1) * len;
            let windows = self.window.unfold(dy[span(result)].chunks(result), scratch);
            let windows = Matrix::rows(windows, positions);
            let weight = Matrix::rows(&weight[span(kernel)], depth);
            multiply(Onto::Nothing, &mut dx[span(image)], weight, windows);
            let x = Matrix::rows(&x[span(image)], positions);
            multiply(Onto::Sum, &mut dw[span(kernel)], x, windows.transposed());
        }
    }

    fn bias<T: Exp>(&self, dy: &[T]) -> Vec<T> {
        let plane = self.window.image[0] * self.window.image[1];
        let sum = |dy: &[T]| {
            wide(
                #[inline(always)]
                || lanes::sum(dy, |v| v),
            )
        };
        let planes: Vec<f64> = dy.par_chunks(plane).map(sum).collect();
        let of_channel = |c: usize| T::from_f64(planes[c..].iter().step_by(self.out()).sum());
        (0..self.out()).map(|c| if planes.is_empty() { T::zero() } else { of_channel(c) }).collect()
    }
}

impl Function for Plan {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        for_real!(dy.dtype(), T => self.gradients::<T>(call, &host::read(&dy)?))
    }
}
