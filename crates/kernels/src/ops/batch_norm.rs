//! Batch normalization.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β       per channel
//! ```
//!
//! While training, μ and σ² are those of the batch (σ² biased) and the gradient flows through them:
//! ```text
//! dx = γ/√(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy ∘ x̂))
//! ```
//! Sums are taken in f64, channel by channel, in the order of the batch.
//! Reference: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

use candle_core::{DType, Tensor, WithDType};
use rayon::prelude::*;

use super::host::{self, Real, for_real};
use crate::autograd::{Call, Function, Gradient, apply};
use crate::{Error, Result};

/// Mean and biased variance of each channel, `[channels]` both.
#[derive(Debug, Clone)]
pub struct ChannelStats {
    /// The means.
    pub mean: Tensor,
    /// The variances, divided by the number of values.
    pub var: Tensor,
}

/// Mean and variance of each channel over batch and space, without a gradient.
///
/// # Shapes
/// `[batch, channels, ..]` → two of `[channels]` in the dtype of `x`.
///
/// # Errors
/// [`Error::Shape`] for fewer than two dimensions or no values per channel.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let stats = taskweave_kernels::ops::channel_stats(&Tensor::new(&[[1f32, 5.0], [3.0, 5.0]], &Device::Cpu)?)?;
/// assert_eq!(stats.mean.to_vec1::<f32>()?, [2.0, 5.0]);
/// assert_eq!(stats.var.to_vec1::<f32>()?, [1.0, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn channel_stats(x: &Tensor) -> Result<ChannelStats> {
    let grid = Grid::of(x)?;
    let x = x.detach();
    if !host::applies(&x) {
        let x = x.reshape((grid.batch, grid.channels, grid.space))?;
        let mean = x.mean_keepdim((0, 2))?;
        let var = x.broadcast_sub(&mean)?.sqr()?.mean((0, 2))?;
        return Ok(ChannelStats { mean: mean.flatten_all()?, var });
    }
    let moments: Vec<[f64; 2]> =
        for_real!(x.dtype(), T => host::with_values::<T, _>(&x, |x| Ok(grid.moments(x))))?;
    let column = |i: usize| -> Result<Tensor> {
        let values: Vec<f64> = moments.iter().map(|m| m[i]).collect();
        Ok(Tensor::from_vec(values, grid.channels, x.device())?.to_dtype(x.dtype())?)
    };
    Ok(ChannelStats { mean: column(0)?, var: column(1)? })
}

/// The statistics to normalize by, and what they are.
#[derive(Debug, Clone, Copy)]
pub enum Statistics<'a> {
    /// Those of the batch itself, from [`channel_stats`]: the gradient flows through them.
    Batch(&'a ChannelStats),
    /// Constants, such as running statistics.
    Fixed(&'a ChannelStats),
}

/// Normalizes each channel of `x`.
///
/// # Shapes
/// `x [batch, channels, ..]`, `weight [channels]`, `bias [channels]` → the shape of `x`.
///
/// # Errors
/// [`Error::Shape`] where the parameters or statistics do not have one value per channel, or where a channel has
/// fewer than two values to take statistics of; [`Error::Parameter`] for an `eps` that is not positive.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Statistics, batch_norm, channel_stats};
/// let x = Tensor::new(&[[1f64], [3.0]], &Device::Cpu)?;
/// let (one, zero) = (Tensor::new(&[1f64], &Device::Cpu)?, Tensor::new(&[0f64], &Device::Cpu)?);
/// let stats = channel_stats(&x)?;
/// let y = batch_norm(&x, [&one, &zero], Statistics::Batch(&stats), 1e-12)?;
/// assert!((y.to_vec2::<f64>()?[1][0] - 1.0).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn batch_norm(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    statistics: Statistics<'_>,
    eps: f64,
) -> Result<Tensor> {
    let grid = Grid::of(x)?;
    let (Statistics::Batch(stats) | Statistics::Fixed(stats)) = statistics;
    if !(eps > 0.0 && eps.is_finite()) {
        return Err(Error::parameter("eps of batch_norm", "a finite number > 0", eps));
    }
    for (what, values) in
        [("weight", weight), ("bias", bias), ("mean", &stats.mean), ("variance", &stats.var)]
    {
        if values.dims() != [grid.channels] {
            let what = format!("{what} of batch_norm");
            return Err(Error::shape(what, format!("[{}]", grid.channels), values.dims()));
        }
    }
    if matches!(statistics, Statistics::Batch(_)) && grid.batch * grid.space < 2 {
        return Err(Error::shape(
            "input of batch_norm",
            "at least two values per channel to train",
            x.dims(),
        ));
    }
    if !host::applies(x) {
        return composed(x, [weight, bias], statistics, eps);
    }
    let mean = stats.mean.to_dtype(DType::F64)?.to_vec1()?;
    let var: Vec<f64> = stats.var.to_dtype(DType::F64)?.to_vec1()?;
    let inv_std = var.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
    let source = match statistics {
        Statistics::Batch(_) => Source::Batch,
        Statistics::Fixed(_) => Source::Fixed,
    };
    let op = BatchNorm { grid, mean, inv_std, source };
    let [input, scale, shift] = [x.contiguous()?, weight.contiguous()?, bias.contiguous()?];
    for_real!(x.dtype(), T => {
        let y = op.forward::<T>(&host::read(&input)?, &host::read(&scale)?, &host::read(&shift)?);
        apply(op, &[x, weight, bias], y, x.shape())
    })
}

fn composed(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    statistics: Statistics<'_>,
    eps: f64,
) -> Result<Tensor> {
    let grid = Grid::of(x)?;
    let per_channel = (1, grid.channels, 1);
    let flat = x.reshape((grid.batch, grid.channels, grid.space))?;
    let (centered, var) = match statistics {
        Statistics::Fixed(stats) => {
            (flat.broadcast_sub(&stats.mean.reshape(per_channel)?)?, stats.var.reshape(per_channel)?)
        }
        // Taken again, because here the gradient has to flow through them.
        Statistics::Batch(_) => {
            let centered = flat.broadcast_sub(&flat.mean_keepdim((0, 2))?)?;
            let var = centered.sqr()?.mean_keepdim((0, 2))?;
            (centered, var)
        }
    };
    let y = centered.broadcast_div(&(var + eps)?.sqrt()?)?;
    let y = y.broadcast_mul(&weight.reshape(per_channel)?)?.broadcast_add(&bias.reshape(per_channel)?)?;
    Ok(y.reshape(x.shape())?)
}

/// A tensor seen as `[batch, channels, space]`.
#[derive(Clone, Copy)]
struct Grid {
    batch: usize,
    channels: usize,
    space: usize,
}

impl Grid {
    fn of(x: &Tensor) -> Result<Self> {
        match x.dims() {
            [batch, channels, rest @ ..] if x.elem_count() > 0 => {
                Ok(Self { batch: *batch, channels: *channels, space: rest.iter().product() })
            }
            dims => Err(Error::shape("input of batch_norm", "[batch, channels, ..] with values", dims)),
        }
    }

    fn rows<T>(self, x: &[T], channel: usize) -> impl Iterator<Item = &[T]> {
        x.chunks(self.space).skip(channel).step_by(self.channels)
    }

    fn moments<T: Real>(self, x: &[T]) -> Vec<[f64; 2]> {
        let n = (self.batch * self.space) as f64;
        let of_channel = |channel| {
            let mean = self.rows(x, channel).map(|row| lane_sum(row, |v| v)).sum::<f64>() / n;
            let square = |v: f64| (v - mean) * (v - mean);
            [mean, self.rows(x, channel).map(|row| lane_sum(row, square)).sum::<f64>() / n]
        };
        (0..self.channels).into_par_iter().map(of_channel).collect()
    }
}

/// The sum of `f` over a row, in eight interleaved partial sums so that it can be vectorised.
fn lane_sum<T: Real>(row: &[T], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0f64; 8];
    let chunks = row.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|v| f(v.to_f64())).sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v.to_f64());
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Where the statistics come from: the gradient flows through those of the batch.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Batch,
    Fixed,
}

struct BatchNorm {
    grid: Grid,
    mean: Vec<f64>,
    inv_std: Vec<f64>,
    source: Source,
}

impl BatchNorm {
    /// Calls `f(channel, row)` for every row of space, in parallel over rows.
    fn map_rows<T: Real>(&self, y: &mut [T], f: impl Fn(usize, usize, &mut [T]) + Sync) {
        let Grid { channels, space, .. } = self.grid;
        y.par_chunks_mut(space).enumerate().for_each(|(row, y)| f(row % channels, row * space, y));
    }

    fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let mut y = vec![T::zero(); x.len()];
        self.map_rows(&mut y, |c, start, y| {
            let scale = weight[c].to_f64() * self.inv_std[c];
            let shift = bias[c].to_f64() - self.mean[c] * scale;
            let (scale, shift) = (T::from_f64(scale), T::from_f64(shift));
            y.iter_mut().zip(&x[start..]).for_each(|(y, &x)| *y = x * scale + shift);
        });
        y
    }

    /// Σ dy and Σ dy ∘ x̂ per channel: the gradients of bias and weight.
    fn sums<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<[f64; 2]> {
        let of_channel = |c: usize| {
            let rows = self.grid.rows(x, c).zip(self.grid.rows(dy, c));
            let (mut sum, mut dot) = (0.0, 0.0);
            for (x, dy) in rows {
                sum += lane_sum(dy, |v| v);
                dot += lane_dot(x, dy, self.mean[c]);
            }
            [sum, dot * self.inv_std[c]]
        };
        (0..self.grid.channels).into_par_iter().map(of_channel).collect()
    }

    fn backward<T: Real>(&self, [x, dy]: [&[T]; 2], weight: &[T], sums: &[[f64; 2]]) -> Vec<T> {
        let n = (self.grid.batch * self.grid.space) as f64;
        let mut dx = vec![T::zero(); x.len()];
        self.map_rows(&mut dx, |c, start, dx| {
            let scale = weight[c].to_f64() * self.inv_std[c];
            // dx = a·dy + b·x + d, the terms of the formula collected by what they multiply.
            let (b, d) = match self.source {
                Source::Fixed => (0.0, 0.0),
                Source::Batch => {
                    let b = -scale * self.inv_std[c] * sums[c][1] / n;
                    (b, -scale * sums[c][0] / n - b * self.mean[c])
                }
            };
            let (a, b, d) = (T::from_f64(scale), T::from_f64(b), T::from_f64(d));
            let inputs = x[start..].iter().zip(&dy[start..]);
            dx.iter_mut().zip(inputs).for_each(|(dx, (&x, &dy))| *dx = a * dy + b * x + d);
        });
        dx
    }
}

/// Σ (x − mean) · dy over a row, in eight interleaved partial sums.
fn lane_dot<T: Real>(x: &[T], dy: &[T], mean: f64) -> f64 {
    let mut lanes = [0f64; 8];
    for (x, dy) in x.chunks(8).zip(dy.chunks(8)) {
        for (lane, (x, dy)) in lanes.iter_mut().zip(x.iter().zip(dy)) {
            *lane += (x.to_f64() - mean) * dy.to_f64();
        }
    }
    lanes.iter().sum()
}

impl Function for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, weight) = (call.inputs[0].contiguous()?, call.inputs[1].contiguous()?);
        let dy = cotangent.contiguous()?;
        for_real!(x.dtype(), T => {
            let (x, dy, scale) = (host::read::<T>(&x)?, host::read::<T>(&dy)?, host::read::<T>(&weight)?);
            let sums = self.sums(&x, &dy);
            let dx = self.backward([&x, &dy], &scale, &sums);
            let column = |i: usize| -> Result<Gradient> {
                let values: Vec<T> = sums.iter().map(|s| T::from_f64(s[i])).collect();
                Ok(host::tensor(values, &weight)?.into())
            };
            Ok(vec![Some(host::tensor(dx, call.output)?.into()), Some(column(1)?), Some(column(0)?)])
        })
    }
}
