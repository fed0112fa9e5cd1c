//! The sum of what experts say, weighted by gates.

use candle_core::Tensor;
use rayon::prelude::*;

use super::host::{self, for_real};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::simd::wide;
use crate::{Error, Result};

/// Rows per task of the thread pool.
const ROWS: usize = 64;
/// Partial sums of a scalar product, because one alone waits for every addition.
const LANES: usize = 16;

/// `Σₑ pₑ yₑ` with `p = softmax(gates)` over the experts: a gated mixture, for one task or for several at once.
///
/// The outputs of the experts are read where they lie, whatever the number of tasks that mix them.
///
/// # Shapes
/// `gates [rows, experts]`, `outputs [rows, experts, width]` → `[rows, width]`;
/// `gates [rows, tasks, experts]` → `[rows, tasks, width]`, which is what
/// [`expert_linear`](super::expert_linear) takes for the towers of the tasks.
///
/// # Errors
/// [`Error::Shape`] for sizes that do not fit together or no expert at all, [`Error::DType`] where the dtypes
/// differ.
///
/// Reference: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
/// Mixture-of-Experts", KDD 2018, eq. 5-7, <https://doi.org/10.1145/3219819.3220007>.
///
/// # Example
/// Both experts count alike.
/// ```
/// use candle_core::{Device, Tensor};
/// let gates = Tensor::new(&[[5f32, 5.0]], &Device::Cpu)?;
/// let outputs = Tensor::new(&[[[1f32, 2.0], [3.0, 6.0]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::mix(&gates, &outputs)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[2.0, 4.0]]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn mix(gates: &Tensor, outputs: &Tensor) -> Result<Tensor> {
    let (sizes, shape) = Sizes::checked(gates, outputs)?;
    host::require_float(outputs, "outputs of mix")?;
    if !host::applies(outputs) {
        return composed(gates, outputs);
    }
    let (logits, y) = (gates.contiguous()?, outputs.contiguous()?);
    for_real!(outputs.dtype(), T => {
        let (values, shares) = sizes.mixed::<T>(&host::read(&logits)?, &host::read(&y)?);
        apply(Mix { sizes, shares: host::tensor(shares, &logits)? }, &[gates, outputs], values, shape)
    })
}

fn composed(gates: &Tensor, outputs: &Tensor) -> Result<Tensor> {
    let shares = super::softmax(gates)?;
    match gates.rank() {
        2 => Ok(shares.unsqueeze(1)?.matmul(&outputs.contiguous()?)?.squeeze(1)?),
        _ => Ok(shares.matmul(&outputs.contiguous()?)?),
    }
}

/// Numbers per row.
#[derive(Clone, Copy)]
struct Sizes {
    tasks: usize,
    experts: usize,
    width: usize,
}

impl Sizes {
    fn checked(gates: &Tensor, outputs: &Tensor) -> Result<(Self, Vec<usize>)> {
        let &[rows, experts, width] = outputs.dims() else {
            return Err(Error::shape("outputs of experts", "[rows, experts, width]", outputs.dims()));
        };
        if experts == 0 {
            return Err(Error::shape("outputs of experts", "[rows, ≥ 1, width]", outputs.dims()));
        }
        let (tasks, shape) = match *gates.dims() {
            [r, e] if (r, e) == (rows, experts) => (1, vec![rows, width]),
            [r, tasks, e] if (r, e) == (rows, experts) => (tasks, vec![rows, tasks, width]),
            _ => {
                let expected = format!("[{rows}, {experts}] or [{rows}, tasks, {experts}]");
                return Err(Error::shape("gates", expected, gates.dims()));
            }
        };
        if gates.dtype() != outputs.dtype() {
            let expected = format!("{:?}, as the outputs of the experts", outputs.dtype());
            return Err(Error::dtype("gates", expected, gates.dtype()));
        }
        Ok((Self { tasks, experts, width }, shape))
    }

    /// Numbers of a block of rows: of its results, its gates and the outputs of its experts.
    fn block(self) -> [usize; 3] {
        let Self { tasks, experts, width } = self;
        [tasks * width, tasks * experts, experts * width].map(|per_row| (ROWS * per_row).max(1))
    }

    /// The results, and the shares that the experts have in them.
    fn mixed<T: Exp>(self, gates: &[T], y: &[T]) -> (Vec<T>, Vec<T>) {
        let Self { tasks, experts, width } = self;
        let (rows, mut shares) = (gates.len() / (tasks * experts).max(1), gates.to_vec());
        let mut z = vec![T::zero(); rows * tasks * width];
        let [of_z, of_shares, of_y] = self.block();
        let blocks = z.par_chunks_mut(of_z).zip(shares.par_chunks_mut(of_shares)).zip(y.par_chunks(of_y));
        blocks.for_each(|((z, shares), y)| {
            wide(
                #[inline(always)]
                || {
                    shares.chunks_exact_mut(experts).for_each(softmax);
                    for (i, z) in z.chunks_exact_mut(width).enumerate() {
                        let y = &y[i / tasks * experts * width..][..experts * width];
                        for (e, y) in y.chunks_exact(width).enumerate() {
                            add(z, shares[i * experts + e], y);
                        }
                    }
                },
            );
        });
        (z, shares)
    }

    /// The gradient of the `len` outputs: `dyₑ = Σ pₑ dz` over the tasks.
    fn output_gradient<T: Exp>(self, dz: &[T], shares: &[T], len: usize) -> Vec<T> {
        let Self { tasks, experts, width } = self;
        let mut dy = vec![T::zero(); len];
        let [of_z, of_shares, of_y] = self.block();
        let blocks = dy.par_chunks_mut(of_y).zip(shares.par_chunks(of_shares)).zip(dz.par_chunks(of_z));
        blocks.for_each(|((dy, shares), dz)| {
            wide(
                #[inline(always)]
                || {
                    for (i, dy) in dy.chunks_exact_mut(width).enumerate() {
                        let (row, e) = (i / experts, i % experts);
                        for task in row * tasks..(row + 1) * tasks {
                            add(dy, shares[task * experts + e], &dz[task * width..][..width]);
                        }
                    }
                },
            );
        });
        dy
    }

    /// The gradient of the gates: `pₑ (sₑ − Σ p s)` with `sₑ = dz · yₑ`.
    fn gate_gradient<T: Exp>(self, dz: &[T], shares: &[T], y: &[T]) -> Vec<T> {
        let Self { tasks, experts, width } = self;
        let mut slopes = vec![T::zero(); shares.len()];
        let [of_z, of_shares, of_y] = self.block();
        let read = shares.par_chunks(of_shares).zip(dz.par_chunks(of_z)).zip(y.par_chunks(of_y));
        slopes.par_chunks_mut(of_shares).zip(read).for_each(|(slopes, ((shares, dz), y))| {
            wide(
                #[inline(always)]
                || {
                    let each = slopes.chunks_exact_mut(experts).zip(shares.chunks_exact(experts));
                    for (i, ((slopes, shares), dz)) in each.zip(dz.chunks_exact(width)).enumerate() {
                        let y = &y[i / tasks * experts * width..][..experts * width];
                        let products = y.chunks_exact(width).map(|y| dot(dz, y));
                        slopes.iter_mut().zip(products).for_each(|(slope, product)| *slope = product);
                        through_softmax(slopes, shares);
                    }
                },
            );
        });
        slopes
    }
}

/// sum += factor · y
#[inline(always)]
fn add<T: Exp>(sum: &mut [T], factor: T, y: &[T]) {
    sum.iter_mut().zip(y).for_each(|(sum, &y)| *sum += factor * y);
}

#[inline(always)]
fn dot<T: Exp>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    let ((groups, rest), (others, tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in groups.iter().zip(others) {
        (0..LANES).for_each(|i| lanes[i] += a[i] * b[i]);
    }
    lanes.iter_mut().zip(rest.iter().zip(tail)).for_each(|(lane, (&a, &b))| *lane += a * b);
    lanes.into_iter().fold(T::zero(), |sum, lane| sum + lane)
}

#[inline(always)]
fn softmax<T: Exp>(x: &mut [T]) {
    let largest = x.iter().skip(1).fold(x[0], |max, &x| if x > max { x } else { max });
    x.iter_mut().for_each(|x| *x = (*x - largest).exp_fast());
    let sum = x.iter().fold(T::zero(), |sum, &x| sum + x);
    x.iter_mut().for_each(|x| *x /= sum);
}

/// From the gradient of shares to that of what they are the softmax of.
#[inline(always)]
fn through_softmax<T: Exp>(slopes: &mut [T], shares: &[T]) {
    let mean = slopes.iter().zip(shares).fold(T::zero(), |sum, (&s, &p)| sum + s * p);
    slopes.iter_mut().zip(shares).for_each(|(slope, &p)| *slope = p * (*slope - mean));
}

struct Mix {
    sizes: Sizes,
    shares: Tensor,
}

impl Function for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn samples(&self, _: usize) -> Samples {
        Samples::Apart
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (dz, outputs) = (cotangent.contiguous()?, call.inputs[1].contiguous()?);
        for_real!(dz.dtype(), T => {
            let (dz, shares) = (host::read::<T>(&dz)?, host::read::<T>(&self.shares)?);
            let gates = || {
                let slopes = self.sizes.gate_gradient(&dz, &shares, &host::read::<T>(&outputs)?);
                host::tensor(slopes, &self.shares)
            };
            let experts = || host::tensor(self.sizes.output_gradient(&dz, &shares, outputs.elem_count()), &outputs);
            Ok(vec![
                call.wants(0).then(gates).transpose()?.map(Gradient::from),
                call.wants(1).then(experts).transpose()?.map(Gradient::from),
            ])
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
        let outputs = numbers(&[5, 3, 4]);
        for gates in [numbers(&[5, 3]), numbers(&[5, 2, 3])] {
            let found = [mix, composed].map(|f| {
                let y = f(&gates, &outputs).unwrap();
                let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let gradient = |x: &Tensor| flat(gradients.get(x).unwrap());
                [flat(&y), gradient(&gates), gradient(&outputs)].concat()
            });
            assert!(found[0].iter().zip(&found[1]).all(|(a, b)| (a - b).abs() < 1e-13));
        }
    }
}
