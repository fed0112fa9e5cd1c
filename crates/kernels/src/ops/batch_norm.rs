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
//! An activation may follow in the same function. Its slope is found again from x, so that nothing is kept for it.
//! Planes are summed in lanes and added in f64, in the order of the batch; x is read once for its statistics.
//! Reference: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::host::{self, for_real};
use super::planes::{Affine, Moments, Planes};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
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
/// [`Error::Shape`] for fewer than two dimensions or no values per channel, [`Error::DType`] for whole numbers.
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
    host::require_float(x, "input of batch_norm")?;
    let x = x.detach();
    if !host::applies(&x) {
        let x = x.reshape((grid.batch, grid.channels, grid.space))?;
        let mean = x.mean_keepdim((0, 2))?;
        let var = x.broadcast_sub(&mean)?.sqr()?.mean((0, 2))?;
        return Ok(ChannelStats { mean: mean.flatten_all()?, var });
    }
    let planes = for_real!(x.dtype(), T => {
        host::with_values::<T, _>(&x, |x| Ok(Moments::of_planes(x, grid.space)))
    })?;
    let moments: Vec<Moments> = grid.fold(&planes, Moments::plus);
    let column = |of: fn(&Moments) -> f64| -> Result<Tensor> {
        let values: Vec<f64> = moments.iter().map(of).collect();
        Ok(Tensor::from_vec(values, grid.channels, x.device())?.to_dtype(x.dtype())?)
    };
    Ok(ChannelStats { mean: column(|m| m.mean)?, var: column(|m| m.squares / m.count)? })
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
    parameters: [&Tensor; 2],
    statistics: Statistics<'_>,
    eps: f64,
) -> Result<Tensor> {
    batch_norm_then(x, parameters, statistics, BatchNorm { eps, ..BatchNorm::default() })
}

/// What a batch normalization adds to the variance, and what follows it.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `eps` | 1e-5 | > 0 | added to the variance |
/// | `activation` | identity | – | applied to the result |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
    /// Applied to the result.
    pub activation: Activation,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { eps: 1e-5, activation: Activation::Identity }
    }
}

/// An activation of each normalized channel of `x` as one function, with nothing kept in between.
///
/// `parameters` are weight and bias.
///
/// # Shapes
/// As [`batch_norm`].
///
/// # Errors
/// As [`batch_norm`], and [`Error::DType`] for parameters of another dtype than `x`.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::ops::{Activation, BatchNorm, Statistics, batch_norm_then, channel_stats};
/// let x = Tensor::new(&[[1f64], [3.0]], &Device::Cpu)?;
/// let (one, zero) = (Tensor::new(&[1f64], &Device::Cpu)?, Tensor::new(&[0f64], &Device::Cpu)?);
/// let stats = channel_stats(&x)?;
/// let config = BatchNorm { eps: 1e-12, activation: Activation::Relu };
/// let y = batch_norm_then(&x, [&one, &zero], Statistics::Batch(&stats), config)?;
/// assert_eq!(y.to_vec2::<f64>()?[0][0], 0.0);
/// assert!((y.to_vec2::<f64>()?[1][0] - 1.0).abs() < 1e-9);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn batch_norm_then(
    x: &Tensor,
    parameters: [&Tensor; 2],
    statistics: Statistics<'_>,
    config: BatchNorm,
) -> Result<Tensor> {
    let grid = Grid::of(x)?;
    grid.check(x, parameters, statistics, config.eps)?;
    if !host::applies(x) {
        return config.activation.composed(&composed(x, parameters, statistics, config.eps)?);
    }
    let (Statistics::Batch(stats) | Statistics::Fixed(stats)) = statistics;
    let mean = stats.mean.to_dtype(DType::F64)?.to_vec1()?;
    let var: Vec<f64> = stats.var.to_dtype(DType::F64)?.to_vec1()?;
    let inv_std = var.iter().map(|v| 1.0 / (v + config.eps).sqrt()).collect();
    let source = match statistics {
        Statistics::Batch(_) => Source::Batch,
        Statistics::Fixed(_) => Source::Fixed,
    };
    let op = Normalize { grid, mean, inv_std, source, activation: config.activation };
    let [weight, bias] = parameters;
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        let maps = op.maps::<T>(weight, bias)?;
        let y = op.planes(&maps).values(&host::read(&input)?);
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

    fn check(self, x: &Tensor, [weight, bias]: [&Tensor; 2], by: Statistics<'_>, eps: f64) -> Result<()> {
        let (Statistics::Batch(stats) | Statistics::Fixed(stats)) = by;
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(Error::parameter("eps of batch_norm", "a finite number > 0", eps));
        }
        for (what, values) in
            [("weight", weight), ("bias", bias), ("mean", &stats.mean), ("variance", &stats.var)]
        {
            if values.dims() != [self.channels] {
                let what = format!("{what} of batch_norm");
                return Err(Error::shape(what, format!("[{}]", self.channels), values.dims()));
            }
        }
        for (what, values) in [("weight", weight), ("bias", bias)] {
            if values.dtype() != x.dtype() {
                let expected = format!("{:?}, as the input", x.dtype());
                return Err(Error::dtype(format!("{what} of batch_norm"), expected, values.dtype()));
            }
        }
        if matches!(by, Statistics::Batch(_)) && self.batch * self.space < 2 {
            let expected = "at least two values per channel to train";
            return Err(Error::shape("input of batch_norm", expected, x.dims()));
        }
        Ok(())
    }

    /// What the planes of each channel give together, in the order of the batch.
    fn fold<P: Copy + Default>(self, planes: &[P], plus: impl Fn(P, P) -> P) -> Vec<P> {
        let mut all = vec![P::default(); self.channels];
        for image in planes.chunks(self.channels) {
            all.iter_mut().zip(image).for_each(|(sum, &plane)| *sum = plus(*sum, plane));
        }
        all
    }
}

/// Where the statistics come from: the gradient flows through those of the batch.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Batch,
    Fixed,
}

struct Normalize {
    grid: Grid,
    mean: Vec<f64>,
    inv_std: Vec<f64>,
    source: Source,
    activation: Activation,
}

impl Normalize {
    fn maps<T: Exp>(&self, weight: &Tensor, bias: &Tensor) -> Result<Vec<Affine<T>>> {
        let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
        let (weight, bias) = (host::read::<T>(&weight)?, host::read::<T>(&bias)?);
        let of_channel = |c: usize| Affine {
            center: T::from_f64(self.mean[c]),
            scale: T::from_f64(weight[c].to_f64() * self.inv_std[c]),
            shift: bias[c],
        };
        Ok((0..self.grid.channels).map(of_channel).collect())
    }

    fn planes<'a, T>(&self, maps: &'a [Affine<T>]) -> Planes<'a, T> {
        Planes { space: self.grid.space, maps, activation: self.activation }
    }

    /// The terms of dx that come from the statistics, per channel.
    fn lines<T: Exp>(&self, maps: &[Affine<T>], sums: &[[f64; 2]]) -> Vec<[T; 2]> {
        let n = (self.grid.batch * self.grid.space) as f64;
        let of_channel = |(c, map): (usize, &Affine<T>)| match self.source {
            Source::Fixed => [T::zero(); 2],
            Source::Batch => {
                let share = -map.scale.to_f64() / n;
                let slope = share * self.inv_std[c] * self.inv_std[c] * sums[c][1];
                [T::from_f64(slope), T::from_f64(share * sums[c][0])]
            }
        };
        maps.iter().enumerate().map(of_channel).collect()
    }

    fn gradients<T: Exp>(&self, call: &Call<'_>, [x, dy]: [&[T]; 2]) -> Result<Vec<Option<Gradient>>> {
        let maps = self.maps::<T>(&call.inputs[1], &call.inputs[2])?;
        let mut planes = self.planes(&maps);
        let slopes = planes.slopes([x, dy]);
        if slopes.is_some() {
            planes.activation = Activation::Identity;
        }
        let dz = slopes.as_deref().unwrap_or(dy);
        let sums = self.grid.fold(&planes.sums([x, dz]), |a, b| [a[0] + b[0], a[1] + b[1]]);
        let mut gradients = vec![None; 3];
        if call.wants(0) {
            let dx = planes.inputs([x, dz], &self.lines(&maps, &sums));
            gradients[0] = Some(host::tensor(dx, call.output)?.into());
        }
        let scaled = |(sum, inv_std): (&[f64; 2], &f64)| T::from_f64(sum[1] * inv_std);
        let weight: Vec<T> = sums.iter().zip(&self.inv_std).map(scaled).collect();
        let bias: Vec<T> = sums.iter().map(|sum| T::from_f64(sum[0])).collect();
        for (i, values) in [(1, weight), (2, bias)] {
            if call.wants(i) {
                gradients[i] = Some(host::tensor(values, &call.inputs[i])?.into());
            }
        }
        Ok(gradients)
    }
}

impl Function for Normalize {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn samples(&self, input: usize) -> Samples {
        match (self.source, input) {
            (Source::Batch, _) => Samples::Coupled,
            (Source::Fixed, 0) => Samples::Apart,
            (Source::Fixed, _) => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (call.inputs[0].contiguous()?, cotangent.contiguous()?);
        for_real!(x.dtype(), T => self.gradients::<T>(call, [&host::read(&x)?, &host::read(&dy)?]))
    }
}
