//! Group normalization.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β     μ, σ² (biased) of each group of channels of each image, γ, β per channel
//! ```
//!
//! One group is layer normalization over channels and space; as many groups as channels is instance
//! normalization. Reference: Wu and He, "Group Normalization", ECCV 2018.

use candle_core::Tensor;

use super::activation::Activation;
use super::host::{self, for_real};
use super::layer_norm::values_or;
use super::planes::{Affine, Moments, Planes};
use crate::autograd::{Call, Function, Gradient, Samples, apply};
use crate::math::Exp;
use crate::{Error, Result};

/// Normalizes each group of channels of each image to mean 0 and variance 1, then scales and shifts each channel.
///
/// `parameters` are weight and bias.
///
/// # Shapes
/// `x [batch, channels, ..]`, `weight [channels]`, `bias [channels]` → the shape of `x`, all of one
/// floating-point dtype.
///
/// # Errors
/// [`Error::Shape`] where `groups` does not divide the channels or the parameters are not `[channels]`;
/// [`Error::DType`] where the dtypes differ; [`Error::Parameter`] for no groups or an `eps` that is not positive.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[[1f64], [3.0], [10.0], [30.0]]], &Device::Cpu)?;
/// let y = taskweave_kernels::ops::group_norm(&x, 2, [None, None], 1e-12)?;
/// let y = y.flatten_all()?.to_vec1::<f64>()?;
/// assert!(y.iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, expected)| (y - expected).abs() < 1e-9));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn group_norm(x: &Tensor, groups: usize, parameters: [Option<&Tensor>; 2], eps: f64) -> Result<Tensor> {
    let shape = Groups::of(x, groups)?;
    host::require_float(x, "input of group_norm")?;
    shape.check(x, parameters, eps)?;
    if !host::applies(x) {
        return shape.composed(x, parameters, eps);
    }
    let mut inputs = vec![x];
    inputs.extend(parameters.iter().flatten());
    let given = parameters.map(|p| p.is_some());
    let input = x.contiguous()?;
    for_real!(x.dtype(), T => {
        let x_values = host::read::<T>(&input)?;
        let stats = shape.statistics(&x_values, eps);
        let op = GroupNorm { shape, stats, given };
        let maps = op.maps::<T>(parameters)?;
        let y = op.planes(&maps).values(&x_values);
        apply(op, &inputs, y, x.shape())
    })
}

/// `[batch, groups, members, space]`
#[derive(Clone, Copy)]
struct Groups {
    batch: usize,
    groups: usize,
    /// Channels of a group.
    members: usize,
    space: usize,
}

impl Groups {
    fn of(x: &Tensor, groups: usize) -> Result<Self> {
        if groups == 0 {
            return Err(Error::parameter("groups of group_norm", "at least 1", groups));
        }
        match *x.dims() {
            [batch, channels, ref rest @ ..]
                if channels > 0 && channels % groups == 0 && !rest.contains(&0) =>
            {
                Ok(Self { batch, groups, members: channels / groups, space: rest.iter().product() })
            }
            _ => {
                let expected = format!("[batch, channels divisible by {groups}, ..] with values");
                Err(Error::shape("input of group_norm", expected, x.dims()))
            }
        }
    }

    fn channels(self) -> usize {
        self.groups * self.members
    }

    fn check(self, x: &Tensor, parameters: [Option<&Tensor>; 2], eps: f64) -> Result<()> {
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(Error::parameter("eps of group_norm", "a finite number > 0", eps));
        }
        for (what, values) in ["weight", "bias"].into_iter().zip(parameters) {
            let Some(values) = values else { continue };
            let what = format!("{what} of group_norm");
            if values.dims() != [self.channels()] {
                return Err(Error::shape(what, format!("[{}]", self.channels()), values.dims()));
            }
            if values.dtype() != x.dtype() {
                return Err(Error::dtype(what, format!("{:?}, as the input", x.dtype()), values.dtype()));
            }
        }
        Ok(())
    }

    fn composed(self, x: &Tensor, [weight, bias]: [Option<&Tensor>; 2], eps: f64) -> Result<Tensor> {
        let flat = x.reshape((self.batch, self.groups, self.members * self.space))?;
        let centered = flat.broadcast_sub(&flat.mean_keepdim(2)?)?;
        let var = centered.sqr()?.mean_keepdim(2)?;
        let y = centered.broadcast_div(&(var + eps)?.sqrt()?)?;
        let mut y = y.reshape((self.batch, self.channels(), self.space))?;
        let per_channel = (1, self.channels(), 1);
        if let Some(weight) = weight {
            y = y.broadcast_mul(&weight.reshape(per_channel)?)?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(&bias.reshape(per_channel)?)?;
        }
        Ok(y.reshape(x.shape())?)
    }

    /// Mean and 1/σ of each group of each image.
    fn statistics<T: Exp>(self, x: &[T], eps: f64) -> Vec<[f64; 2]> {
        let of_group = |planes: &[Moments]| {
            let all = planes.iter().fold(Moments::default(), |all, &plane| all.plus(plane));
            [all.mean, 1.0 / (all.squares / all.count + eps).sqrt()]
        };
        Moments::of_planes(x, self.space).chunks(self.members).map(of_group).collect()
    }
}

struct GroupNorm {
    shape: Groups,
    stats: Vec<[f64; 2]>,
    /// Whether there is a weight, and a bias.
    given: [bool; 2],
}

impl GroupNorm {
    /// One map for each channel of each image.
    fn maps<T: Exp>(&self, [weight, bias]: [Option<&Tensor>; 2]) -> Result<Vec<Affine<T>>> {
        let channels = self.shape.channels();
        let weight = values_or::<T>(weight, (channels, 1.0))?;
        let bias = values_or::<T>(bias, (channels, 0.0))?;
        let of_plane = |plane: usize| {
            let [mean, inv_std] = self.stats[plane / self.shape.members];
            let scale = T::from_f64(weight[plane % channels].to_f64() * inv_std);
            Affine { center: T::from_f64(mean), scale, shift: bias[plane % channels] }
        };
        Ok((0..self.shape.batch * channels).map(of_plane).collect())
    }

    fn planes<'a, T>(&self, maps: &'a [Affine<T>]) -> Planes<'a, T> {
        Planes { space: self.shape.space, maps, activation: Activation::Identity }
    }

    /// The terms of dx that come from the statistics, for each channel of each image.
    fn lines<T: Exp>(&self, maps: &[Affine<T>], sums: &[[f64; 2]]) -> Vec<[T; 2]> {
        let members = self.shape.members;
        let n = (members * self.shape.space) as f64;
        let mut lines = Vec::with_capacity(maps.len());
        for ((maps, sums), [_, inv_std]) in maps.chunks(members).zip(sums.chunks(members)).zip(&self.stats) {
            let total = |i: usize| -> f64 {
                maps.iter().zip(sums).map(|(map, sum)| map.scale.to_f64() * sum[i]).sum()
            };
            let line = [T::from_f64(-inv_std * inv_std * total(1) / n), T::from_f64(-total(0) / n)];
            lines.extend(std::iter::repeat_n(line, members));
        }
        lines
    }

    /// The gradients of weight and bias.
    fn parameters<T: Exp>(&self, sums: &[[f64; 2]]) -> [Vec<T>; 2] {
        let channels = self.shape.channels();
        let mut totals = [vec![0.0; channels], vec![0.0; channels]];
        for (plane, [sum, dot]) in sums.iter().enumerate() {
            totals[0][plane % channels] += dot * self.stats[plane / self.shape.members][1];
            totals[1][plane % channels] += sum;
        }
        totals.map(|totals| totals.into_iter().map(T::from_f64).collect())
    }
}

impl Function for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn samples(&self, input: usize) -> Samples {
        match input {
            0 => Samples::Apart,
            _ => Samples::Whole,
        }
    }

    fn backward(&self, call: &Call<'_>, cotangent: &Tensor) -> Result<Vec<Option<Gradient>>> {
        let (x, dy) = (call.inputs[0].contiguous()?, cotangent.contiguous()?);
        let mut parameters = call.inputs[1..].iter();
        let given = self.given.map(|given| if given { parameters.next() } else { None });
        for_real!(x.dtype(), T => {
            let (x, dy) = (host::read::<T>(&x)?, host::read::<T>(&dy)?);
            let maps = self.maps::<T>(given)?;
            let planes = self.planes(&maps);
            let sums = planes.sums([&x, &dy]);
            let dx = planes.inputs([&x, &dy], &self.lines(&maps, &sums));
            let mut gradients = vec![Some(host::tensor(dx, call.output)?.into())];
            for (input, values) in given.into_iter().zip(self.parameters::<T>(&sums)) {
                if let Some(input) = input {
                    gradients.push(Some(host::tensor(values, input)?.into()));
                }
            }
            Ok(gradients)
        })
    }
}
