//! Affine map.

use std::borrow::Cow;

use candle_core::{Tensor, WithDType};
use rayon::prelude::*;

use super::activation::{Activation, Kept};
use super::fresh::fresh;
use super::host::{self, for_real};
use super::lanes;
use crate::autograd::{Call, Function, Gradient, Samples, apply, one_by_one};
use crate::gemm::{End, Floor, Matrix, product_ended, product_of};
use crate::math::Exp;
use crate::rows::cross_products;
use crate::simd::wide;
use crate::{Error, Result};

/// Rows whose sum is taken before it is added to the others', so that sums do not depend on the threads.
const ROWS: usize = 128;

/// Rows whose inner products with one weight are taken at a time.
const SHORT: usize = 32;

/// `x Wᵀ + b` over the last dimension.
///
/// # Shapes
/// `x [.., in]`, `weight [out, in]`, `bias [out]` → `[.., out]`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] where `x` has no dimension `in` last, or `bias` is not `[out]`; [`Error::DType`] where the
/// dtypes differ.
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
    linear_then(x, [Some(weight), bias], Activation::Identity)
}

/// An activation of `x Wᵀ + b` as one function, without the sums kept where the activation allows it.
///
/// `parameters` are weight and bias.
///
/// # Shapes
/// As [`linear`].
///
/// # Errors
/// As [`linear`], and [`Error::Parameter`] without a weight.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Activation, linear_then};
/// let x = Tensor::new(&[[1f32, -2.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[3f32, 4.0], [3.0, 1.0]], &Device::Cpu)?;
/// let y = linear_then(&x, [Some(&weight), None], Activation::Relu)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[0.0, 1.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn linear_then(
    x: &Tensor,
    [weight, bias]: [Option<&Tensor>; 2],
    activation: Activation,
) -> Result<Tensor> {
    let Some(weight) = weight else {
        return Err(Error::parameter("weight of linear", "a tensor", "none"));
    };
    let shape = checked(x, weight, bias)?;
    if !host::applies(x) {
        return composed(x, weight, bias, activation);
    }
    let (input, matrix) = (x.contiguous()?, weight.contiguous()?);
    let bias_values = bias.map(Tensor::contiguous).transpose()?;
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    for_real!(x.dtype(), T => {
        let [rows, out] = [shape[..shape.len() - 1].iter().product(), shape[shape.len() - 1]];
        let bias = bias_values.as_ref().map(host::read::<T>).transpose()?;
        let affine = |activation| Ok::<_, Error>(affine::<T>(
            (&host::read(&input)?, &host::read(&matrix)?, bias.as_deref()),
            [rows, out],
            activation,
        ));
        let (y, kept) = match activation.keeps() {
            Kept::Output => (affine(activation)?, None),
            Kept::Input => {
                let mut y = affine(Activation::Identity)?;
                let kept = Tensor::from_slice(&y, shape.as_slice(), x.device())?;
                activation.map(&mut y);
                (y, Some(kept))
            }
        };
        apply(Linear { activation, kept }, &inputs, y, shape)
    })
}

fn checked(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Vec<usize>> {
    let &[out, width] = weight.dims() else {
        return Err(Error::shape("weight of linear", "[out, in]", weight.dims()));
    };
    let leading = match x.dims().split_last() {
        Some((&last, leading)) if last == width => leading,
        _ => return Err(Error::shape("input of linear", format!("[.., {width}]"), x.dims())),
    };
    if let Some(bias) = bias.filter(|b| b.dims() != [out]) {
        return Err(Error::shape("bias of linear", format!("[{out}]"), bias.dims()));
    }
    for (what, tensor) in [("weight", Some(weight)), ("bias", bias)] {
        if let Some(tensor) = tensor.filter(|t| t.dtype() != x.dtype()) {
            let expected = format!("{:?}, as the input", x.dtype());
            return Err(Error::dtype(format!("{what} of linear"), expected, tensor.dtype()));
        }
    }
    Ok([leading, &[out]].concat())
}

fn composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let (out, width) = weight.dims2()?;
    let leading = &x.dims()[..x.rank() - 1];
    let rows = leading.iter().product::<usize>();
    let mut y = x.reshape((rows, width))?.matmul(&weight.t()?)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    activation.composed(&y.reshape([leading, &[out]].concat())?)
}

/// x Wᵀ, which slices without columns do not tell the size of.
pub(super) fn product<T: Exp>(x: &[T], weight: &[T], [rows, out]: [usize; 2]) -> Vec<T> {
    if x.is_empty() || weight.is_empty() {
        return vec![T::zero(); rows * out];
    }
    if out == 1 {
        return row_dots(x, weight);
    }
    product_of(Matrix::rows(x, x.len() / rows), Matrix::rows(weight, weight.len() / out).transposed())
}

/// The inner product of every row with one weight: bound by reading the rows, so that all threads read.
fn row_dots<T: Exp>(x: &[T], weight: &[T]) -> Vec<T> {
    fresh(x.len() / weight.len(), SHORT, |start, dots: &mut [T]| {
        wide(
            #[inline(always)]
            || {
                let rows = x[start * weight.len()..].chunks_exact(weight.len());
                for (dot, row) in dots.iter_mut().zip(rows) {
                    *dot = T::from_f64(lanes::sums(row, weight, |a, b| [a * b])[0]);
                }
            },
        );
    })
}

/// An activation of x Wᵀ + b, in one pass over the sums where a kernel does that.
fn affine<T: Exp>(
    (x, weight, bias): (&[T], &[T], Option<&[T]>),
    [rows, out]: [usize; 2],
    activation: Activation,
) -> Vec<T> {
    let end = end(bias, activation);
    let mut y = if out == 1 || x.is_empty() || weight.is_empty() {
        let mut y = product(x, weight, [rows, out]);
        end.apply(&mut y);
        y
    } else {
        let weight = Matrix::rows(weight, weight.len() / out);
        product_ended(Matrix::rows(x, x.len() / rows), weight.transposed(), end)
    };
    after_floor(&mut y, activation);
    y
}

/// An activation of y + b, in place.
pub(super) fn finish<T: Exp>(y: &mut [T], bias: &[T], activation: Activation) {
    end(Some(bias), activation).apply(y);
    after_floor(y, activation);
}

/// The part of an affine map's end that a product can have.
fn end<T>(bias: Option<&[T]>, activation: Activation) -> End<'_, T> {
    let floor = if activation == Activation::Relu { Floor::Zero } else { Floor::None };
    End { bias, floor }
}

/// The rest of it.
fn after_floor<T: Exp>(y: &mut [T], activation: Activation) {
    if activation != Activation::Relu {
        activation.map(y);
    }
}

/// Adds the bias to every row.
pub(super) fn add_bias<T: Exp>(y: &mut [T], bias: &[T]) {
    finish(y, bias, Activation::Identity);
}

/// The sum over rows of `columns` values.
pub(super) fn column_sums<T: Exp>(values: &[T], columns: usize) -> Vec<T> {
    let of_block = |rows: &[T]| {
        let mut sums = vec![T::zero(); columns];
        wide(
            #[inline(always)]
            || {
                for row in rows.chunks(columns) {
                    sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v);
                }
            },
        );
        sums
    };
    let parts: Vec<Vec<T>> = values.par_chunks(columns.max(1) * ROWS).map(of_block).collect();
    let mut sums = vec![T::zero(); columns];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
    }
    sums
}

/// The inner products of rows with each other.
fn row_products<T: Exp>(values: &[T], width: usize) -> Vec<T> {
    let rows = Matrix::rows(values, width);
    product_of(rows, rows.transposed())
}

struct Linear {
    activation: Activation,
    /// The sums before the activation, where its slope is computed from them.
    kept: Option<Tensor>,
}

impl Linear {
    /// ⟨Δᵢ, S Δⱼ⟩ of the tasks' gradients Δ of the sums before the activation, S being how rows meet in the input.
    fn met_through<T: Exp>(
        &self,
        call: &Call<'_>,
        seen: &[T],
        cotangents: &[Option<Tensor>],
    ) -> Result<Vec<f64>> {
        let out = call.inputs[1].dims()[0];
        let rows = call.output.elem_count() / out;
        let (mut own, mut through) = (Vec::new(), Vec::new());
        for cotangent in cotangents {
            let Some(dy) = cotangent else {
                own.push(Vec::new());
                through.push(Vec::new());
                continue;
            };
            let dy = dy.contiguous()?;
            let dz = self.before_activation::<T>(call, &host::read(&dy)?)?.into_owned();
            through.push(product_of(Matrix::rows(seen, rows), Matrix::rows(&dz, out)));
            own.push(dz);
        }
        Ok(cross_products(&own, &through))
    }

    /// The gradient of the sums before the activation.
    fn before_activation<'a, T: Exp>(&self, call: &Call<'_>, dy: &'a [T]) -> Result<Cow<'a, [T]>> {
        self.activation.before(dy, self.kept.as_ref().unwrap_or(call.output))
    }

    fn gradients<T: Exp>(&self, call: &Call<'_>, dz: &[T]) -> Result<Vec<Option<Gradient>>> {
        let (x, weight) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let (out, width) = weight.dims2()?;
        let dz_rows = Matrix::rows(dz, out);
        let mut gradients = vec![None, None];
        if call.wants(0) {
            let weight = host::read::<T>(&weight)?;
            let dx = match dz.is_empty() || weight.is_empty() {
                true => vec![T::zero(); x.elem_count()],
                false => product_of(dz_rows, Matrix::rows(&weight, width)),
            };
            gradients[0] = Some(host::tensor(dx, &x)?.into());
        }
        if call.wants(1) {
            let x = host::read::<T>(&x)?;
            let dw = match dz.is_empty() || x.is_empty() {
                true => vec![T::zero(); weight.elem_count()],
                false => product_of(dz_rows.transposed(), Matrix::rows(&x, width)),
            };
            gradients[1] = Some(host::tensor(dw, &weight)?.into());
        }
        if let Some(bias) = call.inputs.get(2) {
            let db = call.wants(2).then(|| host::tensor(column_sums(dz, out), bias)).transpose()?;
            gradients.push(db.map(Gradient::from));
        }
        Ok(gradients)
    }
}

impl Function for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn task_products(&self, call: &Call<'_>, cotangents: &[Option<Tensor>]) -> Result<Option<Vec<f64>>> {
        let (out, width) = call.inputs[1].dims2()?;
        let rows = call.output.elem_count().checked_div(out).unwrap_or(0);
        let tasks = cotangents.iter().flatten().count();
        let met = rows * rows * (width + tasks * out) + 2 * rows * width * out;
        if !call.wants(1) || rows * width == 0 || met >= tasks * rows * width * out {
            return Ok(None);
        }
        let x = call.inputs[0].contiguous()?;
        for_real!(x.dtype(), T => {
            let mut seen = row_products::<T>(&host::read(&x)?, width);
            // A bias is the weight of an input that is always 1.
            if call.wants(2) {
                seen.iter_mut().for_each(|s| *s += T::from_f64(1.0));
            }
            Ok(Some(self.met_through::<T>(call, &seen, cotangents)?))
        })
    }

    fn sample_products(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<f64>> {
        // Without columns, slices do not say how many samples there are.
        if call.inputs[0].rank() != 2 || call.inputs[0].elem_count() * cotangent.elem_count() == 0 {
            return one_by_one(self, call, cotangent);
        }
        let (x, dy) = (call.inputs[0].contiguous()?, cotangent.contiguous()?);
        for_real!(dy.dtype(), T => {
            let dy = host::read::<T>(&dy)?;
            let dz = self.before_activation::<T>(call, &dy)?;
            let width = x.dims()[1];
            let met = row_products::<T>(&dz, dz.len().checked_div(x.dims()[0]).unwrap_or(0));
            let seen = row_products::<T>(&host::read(&x)?, width);
            let factor = |seen: f64| f64::from(u8::from(call.wants(1))) * seen + f64::from(u8::from(call.wants(2)));
            Ok(met.iter().zip(seen).map(|(&met, seen)| met.to_f64() * factor(seen.to_f64())).collect())
        })
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let dy = cotangent.contiguous()?;
        for_real!(dy.dtype(), T => {
            self.gradients(call, &self.before_activation::<T>(call, &host::read(&dy)?)?)
        })
    }
}
