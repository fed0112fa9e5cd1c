//! Two-dimensional convolution (cross-correlation, as the field calls it).
//!
//! ```text
//! y[b, o, i, j] = bias[o] + Σ_c,u,v  w[o, c, u, v] · x[b, c, i·s + u·d − p, j·s + v·d − p]
//! ```
//!
//! Many convolutions have a faster [`algorithm`]. For the others, images are unfolded into a matrix of their
//! windows (im2col) and multiplied by the kernel. Small images are unfolded several side by side, because a
//! product with few columns is slow. The backward pass takes images in a fixed number of parts and adds the
//! parts' weight gradients in order, so that sums do not depend on the number of threads.

mod composed;

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::algorithm::{self, Algorithm};
use super::host::{self, Real, for_real};
use super::resize::dims4;
use super::sums::plane_sums;
use super::unfold::Window;
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::gemm::{Matrix, Onto, multiply};
use crate::{Error, Result};

use composed::composed;

/// Parts that the images of a batch are split into for the backward pass, whatever the number of threads.
const PARTS: usize = 8;

/// Distances beyond this are no images.
pub(super) const FARTHEST: usize = 1 << 20;

/// Images are put side by side until their windows make this many columns; wider products are no faster.
const COLUMNS: usize = 64;

/// The geometry of a convolution.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `stride` | 1 | ≥ 1 | distance between windows |
/// | `padding` | 0 | ≥ 0 | zeros around the image |
/// | `dilation` | 1 | ≥ 1 | distance between the kernel's points |
/// | `groups` | 1 | divides both channel counts | independent convolutions side by side |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conv2d {
    /// Distance between windows.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Distance between the kernel's points.
    pub dilation: usize,
    /// Independent convolutions side by side.
    pub groups: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// Convolves images with a kernel.
///
/// # Shapes
/// `x [batch, in, h, w]`, `weight [out, in / groups, kh, kw]`, `bias [out]` → `[batch, out, h', w']` with
/// `h' = (h + 2·padding − dilation·(kh − 1) − 1) / stride + 1`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Parameter`] for a geometry out of range, [`Error::Shape`] where the shapes do not fit together,
/// [`Error::DType`] where the dtypes differ.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Conv2d, conv2d};
/// let x = Tensor::new(&[[[[1f32, 2.0, 3.0]]]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[[[1f32, 10.0]]]], &Device::Cpu)?;
/// let y = conv2d(&x, &weight, None, Conv2d::default())?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [21.0, 32.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: Conv2d) -> Result<Tensor> {
    let plan = Plan::new(x, weight, bias, config)?;
    if !host::applies(x) {
        return composed(x, weight, bias, plan);
    }
    let bias = match bias {
        Some(bias) => bias.contiguous()?,
        None => Tensor::zeros(plan.out, x.dtype(), x.device())?,
    };
    let [rows, columns] = plan.window.output;
    let (input, kernel) = (x.contiguous()?, weight.contiguous()?);
    for_real!(x.dtype(), T => {
        let y = plan.forward::<T>(&host::read(&input)?, &host::read(&kernel)?, &host::read(&bias)?);
        apply(plan, &[x, weight, &bias], y, (plan.batch, plan.out, rows, columns))
    })
}

impl Conv2d {
    /// The windows over `size` places, if they fit.
    fn windows(self, [size, kernel]: [usize; 2]) -> Option<usize> {
        let reach = self.dilation.checked_mul(kernel - 1)?.checked_add(1)?;
        let padded = self.padding.checked_mul(2)?.checked_add(size)?;
        Some(padded.checked_sub(reach)? / self.stride + 1)
    }
}

/// All sizes of one convolution, checked against each other.
#[derive(Clone, Copy)]
struct Plan {
    batch: usize,
    out: usize,
    groups: usize,
    /// Of one group of one image.
    window: Window,
    /// The outputs of that group, to put those of several images side by side.
    outputs: Window,
}

impl Plan {
    fn new(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: Conv2d) -> Result<Self> {
        let [batch, channels, h, w] = dims4(x, "input of conv2d")?;
        let [out, per_group, kh, kw] = dims4(weight, "weight of conv2d")?;
        let Conv2d { stride, padding, dilation, groups } = config;
        if stride == 0 || dilation == 0 || groups == 0 {
            return Err(Error::parameter(
                "stride, dilation and groups of conv2d",
                "at least 1",
                format!("{config:?}"),
            ));
        }
        if per_group.checked_mul(groups) != Some(channels)
            || out % groups != 0
            || kh * kw * out * channels == 0
        {
            let expected = format!("[out divisible by {groups}, {channels} / {groups}, ≥ 1, ≥ 1]");
            return Err(Error::shape("weight of conv2d", expected, weight.dims()));
        }
        if let Some(bias) = bias.filter(|b| b.dims() != [out]) {
            return Err(Error::shape("bias of conv2d", format!("[{out}]"), bias.dims()));
        }
        require_dtype(x.dtype(), [("weight", Some(weight)), ("bias", bias)])?;
        let ([Some(rows), Some(columns)], true) = (
            [config.windows([h, kh]), config.windows([w, kw])],
            padding <= FARTHEST && dilation <= FARTHEST && stride <= FARTHEST,
        ) else {
            let expected = format!("height and width that windows {:?} of {config:?} fit on", [kh, kw]);
            return Err(Error::shape("input of conv2d", expected, x.dims()));
        };
        let window = Window {
            channels: per_group,
            image: [h, w],
            kernel: [kh, kw],
            output: [rows, columns],
            stride,
            padding,
            dilation,
        };
        let outputs = Window::pointwise(out / groups, window.positions());
        Ok(Self { batch, out, groups, window, outputs })
    }

    fn image_len(&self) -> usize {
        self.groups * self.window.image_len()
    }

    fn output_len(&self) -> usize {
        self.out * self.window.positions()
    }

    fn per_part(&self) -> usize {
        self.batch.div_ceil(PARTS).max(1)
    }

    /// The images put side by side.
    fn stack(&self) -> usize {
        COLUMNS.div_ceil(self.window.positions()).min(self.per_part())
    }

    /// An algorithm that does better than im2col here.
    fn faster<T: Real>(&self) -> Option<Box<dyn Algorithm<T>>> {
        algorithm::faster(self.batch, [self.groups, self.out], self.window)
    }

    fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        if let Some(faster) = self.faster() {
            return faster.forward(x, weight, bias);
        }
        let mut y = vec![T::zero(); self.batch * self.output_len()];
        if x.is_empty() {
            let planes = y.chunks_mut(self.window.positions()).zip(bias.iter().cycle());
            planes.for_each(|(y, &b)| y.fill(b));
            return y;
        }
        let (inputs, outputs) = (self.stack() * self.image_len(), self.stack() * self.output_len());
        let stacks = y.par_chunks_mut(outputs).zip(x.par_chunks(inputs));
        stacks.for_each_init(
            || Scratch::new(self),
            |scratch, (y, x)| {
                for (y, &b) in y.chunks_mut(self.window.positions()).zip(bias.iter().cycle()) {
                    y.fill(b);
                }
                self.each_group(|group| self.forward_group(&group, [x, weight], y, scratch));
            },
        );
        y
    }

    /// Adds one group of the images of a stack to `y`.
    fn forward_group<T: Real>(
        &self,
        group: &Group,
        [x, weight]: [&[T]; 2],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let columns = y.len() / self.out;
        let weight = Matrix::rows(&weight[group.weight.clone()], self.window.depth());
        let images = x[group.image.start..].chunks(self.image_len());
        let windows = Matrix::rows(self.window.unfold(images, &mut scratch.windows), columns);
        if y.len() == self.output_len() {
            multiply(Onto::Sum, &mut y[group.output.clone()], weight, windows);
            return;
        }
        let product = &mut scratch.outputs[..self.outputs.channels * columns];
        multiply(Onto::Nothing, product, weight, windows);
        self.outputs.fold(product, y[group.output.start..].chunks_mut(self.output_len()));
    }

    fn backward<T: Real>(&self, [x, dy]: [&[T]; 2], weight: &[T], wanted: Wanted) -> Gradients<T> {
        if let Some(faster) = self.faster() {
            return Gradients {
                dx: if wanted == Wanted::All { faster.input_gradient(dy, weight) } else { Vec::new() },
                dw: faster.weight_gradient(x, dy),
                db: plane_sums(dy, self.out, self.window.positions()),
            };
        }
        if x.is_empty() {
            let db = plane_sums(dy, self.out, self.window.positions());
            return Gradients { dx: Vec::new(), dw: vec![T::zero(); weight.len()], db };
        }
        let per_part = self.per_part();
        let mut dx = vec![T::zero(); if wanted == Wanted::All { x.len() } else { 0 }];
        let parts = self.batch.div_ceil(per_part);
        let mut slices: Vec<&mut [T]> = dx.chunks_mut(per_part * self.image_len()).collect();
        slices.resize_with(parts, Default::default);
        let inputs =
            x.par_chunks(per_part * self.image_len()).zip(dy.par_chunks(per_part * self.output_len()));
        let sums: Vec<(Vec<T>, Vec<T>)> = slices
            .into_par_iter()
            .zip(inputs)
            .map_init(
                || Scratch::new(self),
                |scratch, (dx, (x, dy))| self.backward_part(dx, [x, dy], weight, scratch),
            )
            .collect();
        let (mut dw, mut db) = (vec![T::zero(); weight.len()], vec![T::zero(); self.out]);
        for (part_w, part_b) in &sums {
            self.add_transposed(&mut dw, part_w);
            db.iter_mut().zip(part_b).for_each(|(sum, &v)| *sum += v);
        }
        Gradients { dx, dw, db }
    }

    /// Adds the weight gradient of a part, which lies with its outputs as columns.
    fn add_transposed<T: Real>(&self, dw: &mut [T], part: &[T]) {
        let (depth, out) = (self.window.depth(), self.outputs.channels);
        for (dw, part) in dw.chunks_mut(depth * out).zip(part.chunks(depth * out)) {
            for (o, dw) in dw.chunks_mut(depth).enumerate() {
                dw.iter_mut().zip(part[o..].iter().step_by(out)).for_each(|(sum, &v)| *sum += v);
            }
        }
    }

    /// The images of one part in order; an empty `dx` is not wanted. The weight gradient of each group is
    /// returned transposed, because that product is the faster one.
    fn backward_part<T: Real>(
        &self,
        dx: &mut [T],
        [x, dy]: [&[T]; 2],
        weight: &[T],
        scratch: &mut Scratch<T>,
    ) -> (Vec<T>, Vec<T>) {
        let mut dw = vec![T::zero(); weight.len()];
        let mut db = vec![T::zero(); self.out];
        for (plane, dy) in dy.chunks(self.window.positions()).enumerate() {
            db[plane % self.out] += dy.iter().fold(T::zero(), |sum, &v| sum + v);
        }
        let (inputs, outputs) = (self.stack() * self.image_len(), self.stack() * self.output_len());
        for (stack, (x, dy)) in x.chunks(inputs).zip(dy.chunks(outputs)).enumerate() {
            let dx = if dx.is_empty() { &mut [] } else { &mut dx[stack * inputs..][..x.len()] };
            self.each_group(|group| {
                let columns = dy.len() / self.out;
                let dy = dy[group.output.start..].chunks(self.output_len());
                let dy = Matrix::rows(self.outputs.unfold(dy, &mut scratch.outputs), columns);
                let images = x[group.image.start..].chunks(self.image_len());
                let windows = Matrix::rows(self.window.unfold(images, &mut scratch.windows), columns);
                multiply(Onto::Sum, &mut dw[group.weight.clone()], windows, dy.transposed());
                if !dx.is_empty() {
                    let weight = Matrix::rows(&weight[group.weight], self.window.depth());
                    let spread = &mut scratch.windows[..self.window.depth() * columns];
                    multiply(Onto::Nothing, spread, weight.transposed(), dy);
                    self.window.fold(spread, dx[group.image.start..].chunks_mut(self.image_len()));
                }
            });
        }
        (dw, db)
    }

    fn each_group(&self, mut f: impl FnMut(Group)) {
        let out = self.out / self.groups;
        for g in 0..self.groups {
            let span = |len: usize| g * len..(g + 1) * len;
            f(Group {
                image: span(self.window.image_len()),
                weight: span(out * self.window.depth()),
                output: span(out * self.window.positions()),
            });
        }
    }
}

/// Where one group lies in an image, in the kernel and in an output.
struct Group {
    image: std::ops::Range<usize>,
    weight: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
}

/// Room for the windows and the outputs of one group of a stack.
struct Scratch<T> {
    windows: Vec<T>,
    outputs: Vec<T>,
}

impl<T: Real> Scratch<T> {
    fn new(plan: &Plan) -> Self {
        let columns = plan.stack() * plan.window.positions();
        Self {
            windows: vec![T::zero(); plan.window.depth() * columns],
            outputs: vec![T::zero(); plan.outputs.channels * columns],
        }
    }
}

fn require_dtype(dtype: DType, parameters: [(&str, Option<&Tensor>); 2]) -> Result<()> {
    for (what, tensor) in parameters {
        if let Some(tensor) = tensor.filter(|t| t.dtype() != dtype) {
            let expected = format!("{dtype:?}, as the input");
            return Err(Error::dtype(format!("{what} of conv2d"), expected, tensor.dtype()));
        }
    }
    Ok(())
}

struct Gradients<T> {
    dx: Vec<T>,
    dw: Vec<T>,
    db: Vec<T>,
}

/// Images at the bottom of a network need no gradient.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    All,
    Parameters,
}

impl Function for Plan {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let wanted = if call.wants(0) { Wanted::All } else { Wanted::Parameters };
        let (x, weight) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let dy = cotangent.contiguous()?;
        for_real!(x.dtype(), T => {
            let g = self.backward::<T>([&host::read(&x)?, &host::read(&dy)?], &host::read(&weight)?, wanted);
            let dx = (wanted == Wanted::All).then(|| host::tensor(g.dx, &x)).transpose()?;
            let (dw, db) = (host::tensor(g.dw, &weight)?, host::tensor(g.db, &call.inputs[2])?);
            Ok(vec![dx.map(Gradient::from), Some(dw.into()), Some(db.into())])
        })
    }
}
