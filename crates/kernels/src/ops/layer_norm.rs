//! Layer normalization and its relative without a mean.
//!
//! ```text
//! layer norm   y = γ ∘ x̂ + β,   x̂ = (x − μ) / √(σ² + ε)     μ, σ² (biased) of each row
//! RMS norm     y = γ ∘ x̂,       x̂ = x / √(mean(x²) + ε)
//! dx = 1/√(σ² + ε) · (g − mean(g) − x̂ · mean(g ∘ x̂)),   g = γ ∘ dy,   without mean(g) for RMS norm
//! ```
//!
//! Two numbers are kept for each row. The backward pass goes over the rows once; the gradients of γ and β are
//! summed over blocks of a fixed number of rows, which are then added in order.
//! References: Ba, Kiros, Hinton, "Layer Normalization", 2016, <https://arxiv.org/abs/1607.06450>; Zhang and
//! Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.

use candle_core::{D, Tensor};

use super::fresh::fresh_beside;
use super::host::{self, for_real};
use super::lanes;
use super::planes::Moments;
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::simd::wide;
use crate::{Error, Result};

/// Rows of one task, whose parameter gradients are summed before they are added to the others'.
const ROWS: usize = 32;

/// Normalizes every row of the last dimension to mean 0 and variance 1, then scales by `weight` and adds `bias`.
///
/// # Shapes
/// `x [.., width]`, `weight [width]`, `bias [width]` → the shape of `x`, all of one floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] where `x` has no last dimension or the parameters are not `[width]`; [`Error::DType`] where
/// the dtypes differ; [`Error::Parameter`] for an `eps` that is not positive.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1f64, 3.0], [-5.0, -5.0]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::layer_norm(&x, [None, None], 1e-12)?.to_vec2::<f64>()?;
/// assert!((y[0][0] + 1.0).abs() < 1e-9 && (y[0][1] - 1.0).abs() < 1e-9);
/// assert_eq!(y[1], [0.0, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn layer_norm(x: &Tensor, parameters: [Option<&Tensor>; 2], eps: f64) -> Result<Tensor> {
    normalize(x, parameters, (Center::Mean, eps))
}

/// Divides every row of the last dimension by the root of its mean square, then scales by `weight`.
///
/// # Shapes
/// `x [.., width]`, `weight [width]` → the shape of `x`, both of one floating-point dtype.
///
/// # Errors
/// As [`layer_norm`].
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1f64, 7.0]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::rms_norm(&x, None, 1e-12)?.to_vec2::<f64>()?;
/// assert!((y[0][0] - 0.2).abs() < 1e-9 && (y[0][1] - 1.4).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn rms_norm(x: &Tensor, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    normalize(x, [weight, None], (Center::Zero, eps))
}

/// What distances are measured from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Center {
    Mean,
    Zero,
}

impl Center {
    fn name(self) -> &'static str {
        match self {
            Self::Mean => "layer_norm",
            Self::Zero => "rms_norm",
        }
    }
}

fn normalize(x: &Tensor, parameters: [Option<&Tensor>; 2], (center, eps): (Center, f64)) -> Result<Tensor> {
    let width = checked(x, parameters, (center, eps))?;
    host::require_float(x, &format!("input of {}", center.name()))?;
    if !host::applies(x) {
        return composed(x, parameters, (center, eps));
    }
    let mut inputs = vec![x];
    inputs.extend(parameters.iter().flatten());
    let given = parameters.map(|p| p.is_some());
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        let op = RowNorm { width, center, given, rows: Vec::new() };
        let (weight, bias) = (values_or::<T>(parameters[0], (width, 1.0))?, values_or::<T>(parameters[1], (width, 0.0))?);
        let (y, rows) = op.forward(&host::read::<T>(&input)?, [&weight, &bias], eps);
        apply(RowNorm { rows, ..op }, &inputs, y, x.shape())
    })
}

fn checked(x: &Tensor, parameters: [Option<&Tensor>; 2], (center, eps): (Center, f64)) -> Result<usize> {
    let name = center.name();
    if !(eps > 0.0 && eps.is_finite()) {
        return Err(Error::parameter(format!("eps of {name}"), "a finite number > 0", eps));
    }
    let width = match x.dims().last() {
        Some(&width) if width > 0 => width,
        _ => return Err(Error::shape(format!("input of {name}"), "[.., ≥ 1]", x.dims())),
    };
    for (what, values) in ["weight", "bias"].into_iter().zip(parameters) {
        let Some(values) = values else { continue };
        if values.dims() != [width] {
            return Err(Error::shape(format!("{what} of {name}"), format!("[{width}]"), values.dims()));
        }
        if values.dtype() != x.dtype() {
            let expected = format!("{:?}, as the input", x.dtype());
            return Err(Error::dtype(format!("{what} of {name}"), expected, values.dtype()));
        }
    }
    Ok(width)
}

fn composed(
    x: &Tensor,
    [weight, bias]: [Option<&Tensor>; 2],
    (center, eps): (Center, f64),
) -> Result<Tensor> {
    let centered = match center {
        Center::Mean => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
        Center::Zero => x.clone(),
    };
    let square = centered.sqr()?.mean_keepdim(D::Minus1)?;
    let mut y = centered.broadcast_div(&(square + eps)?.sqrt()?)?;
    if let Some(weight) = weight {
        y = y.broadcast_mul(weight)?;
    }
    match bias {
        Some(bias) => Ok(y.broadcast_add(bias)?),
        None => Ok(y),
    }
}

/// The values of a parameter, or what stands in for one.
pub(super) fn values_or<T: Exp>(
    parameter: Option<&Tensor>,
    (width, otherwise): (usize, f64),
) -> Result<Vec<T>> {
    match parameter {
        Some(parameter) => Ok(host::with_values(parameter, |values| Ok(values.to_vec()))?),
        None => Ok(vec![T::from_f64(otherwise); width]),
    }
}

/// Center and 1/σ of a row.
#[derive(Clone, Copy)]
struct Row {
    center: f64,
    inv_std: f64,
}

struct RowNorm {
    width: usize,
    center: Center,
    /// Whether there is a weight, and a bias.
    given: [bool; 2],
    rows: Vec<Row>,
}

impl RowNorm {
    fn forward<T: Exp>(&self, x: &[T], [weight, bias]: [&[T]; 2], eps: f64) -> (Vec<T>, Vec<Row>) {
        let (y, rows) = fresh_beside(x.len(), ROWS * self.width, |start, y| {
            let pairs = y.chunks_mut(self.width).zip(x[start..].chunks(self.width));
            let mut rows = Vec::with_capacity(ROWS);
            wide(
                #[inline(always)]
                || {
                    for (y, x) in pairs {
                        rows.push(self.forward_row(y, x, ([weight, bias], eps)));
                    }
                },
            );
            rows
        });
        (y, rows.concat())
    }

    #[inline(always)]
    fn forward_row<T: Exp>(&self, y: &mut [T], x: &[T], ([weight, bias], eps): ([&[T]; 2], f64)) -> Row {
        let n = self.width as f64;
        let (center, square) = match self.center {
            Center::Mean => {
                let moments = Moments::of(x);
                (moments.mean, moments.squares / n)
            }
            Center::Zero => (0.0, lanes::sum(x, |v| v * v) / n),
        };
        let row = Row { center, inv_std: 1.0 / (square + eps).sqrt() };
        let (center, inv_std) = (T::from_f64(row.center), T::from_f64(row.inv_std));
        let parameters = weight.iter().zip(bias);
        for ((y, &x), (&weight, &bias)) in y.iter_mut().zip(x).zip(parameters) {
            *y = (x - center) * inv_std * weight + bias;
        }
        row
    }

    /// dx, and the gradients of weight and bias one after the other.
    fn backward<T: Exp>(&self, [x, dy]: [&[T]; 2], weight: &[T]) -> (Vec<T>, Vec<T>) {
        let (dx, parts) = fresh_beside(x.len(), ROWS * self.width, |start, dx| {
            let mut sums = vec![T::zero(); 2 * self.width];
            let rows = x[start..].chunks(self.width).zip(dy[start..].chunks(self.width));
            wide(
                #[inline(always)]
                || {
                    for ((dx, (x, dy)), row) in
                        dx.chunks_mut(self.width).zip(rows).zip(&self.rows[start / self.width..])
                    {
                        if self.given != [false; 2] {
                            add_parameters(&mut sums, [x, dy], row);
                        }
                        dx.iter_mut().zip(dy.iter().zip(weight)).for_each(|(g, (&dy, &w))| *g = dy * w);
                        self.backward_row(dx, x, row);
                    }
                },
            );
            sums
        });
        let mut sums = vec![T::zero(); 2 * self.width];
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
        (dx, sums)
    }

    /// g becomes dx.
    #[inline(always)]
    fn backward_row<T: Exp>(&self, g: &mut [T], x: &[T], row: &Row) {
        let (center, inv_std) = (T::from_f64(row.center), T::from_f64(row.inv_std));
        let [sum, dot] = lanes::sums(x, g, |x, g| [g, g * (x - center)]);
        let share = row.inv_std / self.width as f64;
        let slope = T::from_f64(-share * row.inv_std * row.inv_std * dot);
        let offset = match self.center {
            Center::Mean => T::from_f64(-share * sum),
            Center::Zero => T::zero(),
        };
        g.iter_mut().zip(x).for_each(|(g, &x)| *g = *g * inv_std + (x - center) * slope + offset);
    }
}

/// Adds dy ∘ x̂ and dy.
#[inline(always)]
fn add_parameters<T: Exp>(sums: &mut [T], [x, dy]: [&[T]; 2], row: &Row) {
    let (center, inv_std) = (T::from_f64(row.center), T::from_f64(row.inv_std));
    let (weight, bias) = sums.split_at_mut(x.len());
    let inputs = x.iter().zip(dy);
    for ((weight, bias), (&x, &dy)) in weight.iter_mut().zip(bias).zip(inputs) {
        *weight += dy * ((x - center) * inv_std);
        *bias += dy;
    }
}

impl Function for RowNorm {
    fn name(&self) -> &'static str {
        self.center.name()
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (call.inputs[0].contiguous()?, cotangent.contiguous()?);
        let weight = call.inputs.get(1).filter(|_| self.given[0]);
        for_real!(x.dtype(), T => {
            let weight = values_or::<T>(weight, (self.width, 1.0))?;
            let (dx, sums) = self.backward::<T>([&host::read(&x)?, &host::read(&dy)?], &weight);
            let mut gradients = vec![Some(host::tensor(dx, call.output)?.into())];
            for (sums, _) in sums.chunks(self.width).zip(self.given).filter(|(_, given)| *given) {
                gradients.push(Some(host::tensor(sums.to_vec(), &call.inputs[gradients.len()])?.into()));
            }
            Ok(gradients)
        })
    }
}
