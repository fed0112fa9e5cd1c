//! Adam on the update of a method.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use taskweave::kernels::Param;
use taskweave::kernels::autograd::Gradient;
use taskweave::loss::aggregator::BlockwiseConfig;
use taskweave::loss::scalarizer::Feedback;
use taskweave::loss::{Aggregator, Gramian, Jacobian, Weighting, WeightingConfig, scalarized};
use taskweave::prelude::*;

use super::{Slope, TASKS, losses};

/// One way of combining two losses.
enum Rule {
    /// By the Gramian.
    Weighting(Box<dyn Weighting>),
    /// By the losses, with the moments of what it trains.
    Scalarizer(Box<dyn Scalarizer>, Adam),
    /// Coordinate by coordinate.
    Aggregator(Box<dyn Aggregator>),
}

/// Where a descent has come by.
pub struct Path {
    /// Some of the points on the way, the start first and the end last.
    pub points: Vec<[f64; 2]>,
}

impl Path {
    pub fn end(&self) -> [f64; 2] {
        self.points[self.points.len() - 1]
    }
}

/// Adam's moments of some numbers.
struct Adam {
    moments: Vec<[f64; 2]>,
    steps: i32,
}

impl Adam {
    fn new(count: usize) -> Self {
        Self { moments: vec![[0.0; 2]; count], steps: 0 }
    }

    /// What a step of this rate takes off each number.
    fn moves(&mut self, slopes: &[f64], rate: f64) -> Vec<f64> {
        self.steps += 1;
        let left = [0.9f64, 0.999].map(|decay| 1.0 - decay.powi(self.steps));
        let one = |(moments, slope): (&mut [f64; 2], &f64)| {
            *moments = [0.9 * moments[0] + 0.1 * slope, 0.999 * moments[1] + 0.001 * slope * slope];
            rate * (moments[0] / left[0]) / ((moments[1] / left[1]).sqrt() + 1e-8)
        };
        self.moments.iter_mut().zip(slopes).map(one).collect()
    }
}

/// Where Adam goes from a start, by a method with the first loss at a scale.
pub fn descend(config: &str, scale: f64, start: [f64; 2], (steps, rate): (u32, f64)) -> Result<Path> {
    let mut rule = Rule::new(config)?;
    let (mut x, mut adam, mut points) = (start, Adam::new(2), vec![start]);
    for step in 1..=steps {
        let Some(update) = rule.update(x, scale, rate)? else { break };
        x.iter_mut().zip(adam.moves(&update, rate)).for_each(|(x, by)| *x -= by);
        if let Rule::Scalarizer(scalarizer, _) = &mut rule
            && scalarizer.feedback() == Feedback::LossesAfterStep
        {
            scalarizer.after_step(&named(positive(x, scale).map(|loss| loss.value))?)?;
        }
        if step.is_multiple_of(steps.div_ceil(250)) {
            points.push(x);
        }
    }
    points.push(x);
    Ok(Path { points })
}

/// The losses, counted from where none of them falls below, for methods that need losses above 0.
fn positive(x: [f64; 2], scale: f64) -> [Slope; 2] {
    let [first, second] = losses(x, scale);
    [first + 20.0 * scale, second + 20.0]
}

fn named<T>([first, second]: [T; 2]) -> Result<Named<T>> {
    Named::new([(TASKS[0], first), (TASKS[1], second)])
}

impl Rule {
    fn new(config: &str) -> Result<Self> {
        fn read<T: serde::de::DeserializeOwned>(config: &str) -> Result<T> {
            serde_json::from_str(config).map_err(|e| Error::parameter("method", "one of this example", e))
        }
        let name = read::<Value>(config)?["name"].as_str().map(String::from).unwrap_or_default();
        Ok(if WeightingConfig::NAMES.contains(&&*name) {
            Self::Weighting(read::<WeightingConfig>(config)?.build()?)
        } else if BlockwiseConfig::NAMES.contains(&&*name) {
            Self::Aggregator(read::<BlockwiseConfig>(config)?.build()?)
        } else {
            let mut scalarizer = read::<ScalarizerConfig>(config)?.build();
            scalarizer.prepare(&TASKS.map(String::from), DType::F64, &Device::Cpu)?;
            let trained = scalarizer.params().len();
            Self::Scalarizer(scalarizer, Adam::new(trained))
        })
    }

    /// The update at `x`; nothing where tasks that bargain do not agree, which is where nothing is left to gain. What a method
    /// trains besides takes a step of the rate.
    fn update(&mut self, x: [f64; 2], scale: f64, rate: f64) -> Result<Option<[f64; 2]>> {
        let found = positive(x, scale);
        let (values, rows) = (found.map(|loss| loss.value), found.map(|loss| loss.slope));
        let weights = match self {
            Self::Weighting(weighting) => {
                let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
                let gramian = Gramian::new(TASKS, &rows.map(|a| rows.map(|b| dot(a, b))))?;
                match weighting.weights(&gramian.with_losses(values.to_vec())?) {
                    Err(Error::NotConverged { .. }) => return Ok(None),
                    weights => weights?,
                }
            }
            Self::Scalarizer(scalarizer, adam) => weights(&mut **scalarizer, values, (adam, rate))?,
            Self::Aggregator(aggregator) => return Ok(Some(aggregated(&mut **aggregator, values, rows)?)),
        };
        Ok(Some([0, 1].map(|i| weights[0] * rows[0][i] + weights[1] * rows[1][i])))
    }
}

/// The weights of the losses in a step, which is an epoch; trains what the method trains.
fn weights(
    scalarizer: &mut dyn Scalarizer,
    values: [f64; 2],
    (adam, rate): (&mut Adam, f64),
) -> Result<Vec<f64>> {
    let epoch = named(values)?;
    let step = scalarized(scalarizer, &epoch.try_map(|_, value| Tensor::new(*value, &Device::Cpu))?)?;
    let params = scalarizer.params();
    if !params.is_empty() {
        let slopes = step.value.backward()?;
        let slope = |param: &Param| slopes.get(&param.var).map_or(Ok(0.0), |slope| slope.to_scalar::<f64>());
        let slopes = params.values().map(slope).collect::<candle_core::Result<Vec<_>>>()?;
        for (param, by) in params.values().zip(adam.moves(&slopes, rate)) {
            param.var.set(&(param.var.as_tensor() - by)?)?;
        }
    }
    scalarizer.end_epoch(&epoch)?;
    Ok(step.weights.values().copied().collect())
}

fn aggregated(aggregator: &mut dyn Aggregator, values: [f64; 2], rows: [[f64; 2]; 2]) -> Result<[f64; 2]> {
    let row = |_: &str, row: &[f64; 2]| Named::new([("x", Gradient::from(Tensor::new(row, &Device::Cpu)?))]);
    let jacobian = Jacobian::new(named(rows)?.try_map(row)?)?.with_losses(named(values)?)?;
    let gradient = aggregator.aggregate(&jacobian)?.gradient;
    let x = gradient.require("gradient", "x")?.clone().into_dense()?.to_vec1::<f64>()?;
    Ok([x[0], x[1]])
}
