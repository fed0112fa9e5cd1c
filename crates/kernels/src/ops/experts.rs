//! Affine maps of several experts at once.

use candle_core::Tensor;
use rayon::prelude::*;

use super::activation::{Activation, Kept};
use super::host::{self, for_real};
use super::linear::{column_sums, finish};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::gemm::{Matrix, Onto, multiply_columns, product_of};
use crate::math::Exp;
use crate::{Error, Result};

/// Rows per task of the thread pool.
const ROWS: usize = 256;

/// An activation of `x Wₑᵀ + bₑ` for every expert e, of one input that all share or of one for each.
///
/// The experts of a row lie side by side, so that the first layer is one matrix product and the next layers and
/// [`mix`](super::mix()) read what it wrote where it lies. Several layers of one shape that belong to tasks, such as
/// their gates, are experts just as well.
///
/// # Shapes
/// `x [rows, in]` or `[rows, experts, in]`, `weight [experts, out, in]`, `bias [experts, out]` →
/// `[rows, experts, out]`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] and [`Error::DType`] for what does not fit together.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Activation, expert_linear};
/// let x = Tensor::new(&[[1f32, 2.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[[3f32, 4.0]], [[1.0, -1.0]]], &Device::Cpu)?;
/// let y = expert_linear(&x, &weight, None, Activation::Relu)?;
/// assert_eq!(y.to_vec3::<f32>()?, [[[11.0], [0.0]]]);
/// // Each expert goes on with its own values.
/// let weight = Tensor::new(&[[[2f32]], [[5.0]]], &Device::Cpu)?;
/// let bias = Tensor::new(&[[0f32], [7.0]], &Device::Cpu)?;
/// let z = expert_linear(&y, &weight, Some(&bias), Activation::Identity)?;
/// assert_eq!(z.to_vec3::<f32>()?, [[[22.0], [7.0]]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn expert_linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let sizes = Sizes::checked(x, weight, bias)?;
    if !host::applies(x) {
        return composed(x, weight, bias, activation);
    }
    let (input, matrix) = (x.contiguous()?, weight.contiguous()?);
    let bias_values = bias.map(Tensor::contiguous).transpose()?;
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    let shape = [sizes.rows, sizes.experts, sizes.out];
    for_real!(x.dtype(), T => {
        let mut y = sizes.product::<T>(&host::read(&input)?, &host::read(&matrix)?);
        let kept = match (&bias_values, activation.keeps()) {
            (Some(bias), Kept::Output) => {
                finish::<T>(&mut y, &host::read(bias)?, activation);
                None
            }
            (bias, keeps) => {
                if let Some(bias) = bias {
                    finish::<T>(&mut y, &host::read(bias)?, Activation::Identity);
                }
                let input = || Tensor::from_slice(&y, shape.as_slice(), x.device());
                let kept = (keeps == Kept::Input).then(input).transpose()?;
                activation.map(&mut y);
                kept
            }
        };
        apply(Experts { sizes, activation, kept }, &inputs, y, shape.as_slice())
    })
}

/// The numbers of everything.
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    experts: usize,
    width: usize,
    out: usize,
    /// Whether all experts read the same input.
    shared: bool,
}

impl Sizes {
    fn checked(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let &[experts, out, width] = weight.dims() else {
            return Err(Error::shape("weight of experts", "[experts, out, in]", weight.dims()));
        };
        let (rows, shared) = match *x.dims() {
            [rows, last] if last == width => (rows, true),
            [rows, each, last] if (each, last) == (experts, width) => (rows, false),
            _ => {
                let expected = format!("[rows, {width}] or [rows, {experts}, {width}]");
                return Err(Error::shape("input of experts", expected, x.dims()));
            }
        };
        if let Some(bias) = bias.filter(|b| b.dims() != [experts, out]) {
            return Err(Error::shape("bias of experts", format!("[{experts}, {out}]"), bias.dims()));
        }
        for (what, tensor) in [("weight", Some(weight)), ("bias", bias)] {
            if let Some(tensor) = tensor.filter(|t| t.dtype() != x.dtype()) {
                let expected = format!("{:?}, as the input", x.dtype());
                return Err(Error::dtype(format!("{what} of experts"), expected, tensor.dtype()));
            }
        }
        Ok(Self { rows, experts, width, out, shared })
    }

    /// x Wᵀ
    fn product<T: Exp>(self, x: &[T], weight: &[T]) -> Vec<T> {
        let Self { rows, experts, width, out, shared } = self;
        if shared && width > 0 {
            return product_of(Matrix::rows(x, width), Matrix::rows(weight, width).transposed());
        }
        let mut y = vec![T::zero(); rows * experts * out];
        if width == 0 || y.is_empty() {
            return y;
        }
        self.each_expert((&mut y, out), (x, width), |e, y, x| {
            let weight = Matrix::rows(&weight[e * out * width..][..out * width], width);
            multiply_columns(Onto::Nothing, (y, experts * out), x, weight.transposed());
        });
        y
    }

    /// dz W
    fn input_gradient<T: Exp>(self, dz: &[T], weight: &[T]) -> Vec<T> {
        let Self { rows, experts, width, out, shared } = self;
        if shared && experts * out > 0 && width > 0 {
            return product_of(Matrix::rows(dz, experts * out), Matrix::rows(weight, width));
        }
        let mut dx = vec![T::zero(); rows * width * if shared { 1 } else { experts }];
        if experts * out == 0 || dx.is_empty() {
            return dx;
        }
        self.each_expert((&mut dx, width), (dz, out), |e, dx, dz| {
            let weight = Matrix::rows(&weight[e * out * width..][..out * width], width);
            multiply_columns(Onto::Nothing, (dx, experts * width), dz, weight);
        });
        dx
    }

    /// dzᵀ x
    fn weight_gradient<T: Exp>(self, dz: &[T], x: &[T]) -> Vec<T> {
        let Self { rows, experts, width, out, shared } = self;
        if shared && experts * out > 0 && width > 0 {
            return product_of(Matrix::rows(dz, experts * out).transposed(), Matrix::rows(x, width));
        }
        let mut dw = vec![T::zero(); experts * out * width];
        if rows == 0 || dw.is_empty() {
            return dw;
        }
        dw.par_chunks_mut(out * width).enumerate().for_each(|(e, dw)| {
            let dz = Matrix::columns(dz, experts * out, e * out, out).transposed();
            multiply_columns(
                Onto::Nothing,
                (dw, width),
                dz,
                Matrix::columns(x, experts * width, e * width, width),
            );
        });
        dw
    }

    /// Calls `f` for blocks of rows and every expert e, with what begins at its columns of `to`, which has `n` per
    /// expert, and with its columns of `from`, which has `k` of them.
    fn each_expert<T: Exp>(
        self,
        (to, n): (&mut [T], usize),
        (from, k): (&[T], usize),
        f: impl Fn(usize, &mut [T], Matrix<'_, T>) + Sync,
    ) {
        let (to_row, from_row) = (self.experts * n, self.experts * k);
        let blocks = to.par_chunks_mut(ROWS * to_row).zip(from.par_chunks(ROWS * from_row));
        blocks.for_each(|(to, from)| {
            for e in 0..self.experts {
                f(e, &mut to[e * n..], Matrix::columns(from, from_row, e * k, k));
            }
        });
    }
}

fn composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    // Experts first, then back: [experts, rows, in] · [experts, in, out].
    let x = if x.rank() == 2 { x.unsqueeze(1)? } else { x.clone() };
    let (rows, (experts, _, width)) = (x.dims()[0], weight.dims3()?);
    let x = x.broadcast_as((rows, experts, width))?.transpose(0, 1)?.contiguous()?;
    let mut y = x.matmul(&weight.transpose(1, 2)?.contiguous()?)?.transpose(0, 1)?.contiguous()?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    activation.composed(&y)
}

struct Experts {
    sizes: Sizes,
    activation: Activation,
    /// The sums before the activation, where its slope is computed from them.
    kept: Option<Tensor>,
}

impl Experts {
    fn gradients<T: Exp>(&self, call: &Call<'_>, dz: &[T]) -> Result<Vec<Option<Gradient>>> {
        let (x, weight) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let dx = || host::tensor(self.sizes.input_gradient::<T>(dz, &host::read(&weight)?), &x);
        let dw = || host::tensor(self.sizes.weight_gradient::<T>(dz, &host::read(&x)?), &weight);
        let mut gradients = vec![
            call.wants(0).then(dx).transpose()?.map(Gradient::from),
            call.wants(1).then(dw).transpose()?.map(Gradient::from),
        ];
        if let Some(bias) = call.inputs.get(2) {
            let db = || host::tensor(column_sums(dz, self.sizes.experts * self.sizes.out), bias);
            gradients.push(call.wants(2).then(db).transpose()?.map(Gradient::from));
        }
        Ok(gradients)
    }
}

impl Function for Experts {
    fn name(&self) -> &'static str {
        "experts"
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        for_real!(dy.dtype(), T => {
            let kept = self.kept.as_ref().unwrap_or(call.output);
            self.gradients::<T>(call, &self.activation.before(&host::read(&dy)?, kept)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_composition_is_the_same() {
        let numbers = |shape: &[usize]| {
            let numbers = (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7).sin()).collect();
            candle_core::Var::from_vec::<_, f64>(numbers, shape, &candle_core::Device::Cpu).unwrap()
        };
        let (weight, bias) = (numbers(&[3, 4, 2]), numbers(&[3, 4]));
        for x in [numbers(&[5, 2]), numbers(&[5, 3, 2])] {
            let found = [expert_linear, composed].map(|f| {
                let y = f(&x, &weight, Some(&bias), Activation::Tanh).unwrap();
                let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let gradient = |x: &Tensor| flat(gradients.get(x).unwrap());
                [flat(&y), gradient(&x), gradient(&weight), gradient(&bias)].concat()
            });
            assert!(found[0].iter().zip(&found[1]).all(|(a, b)| (a - b).abs() < 1e-13));
        }
    }
}
