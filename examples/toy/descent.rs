//! Adam on the update of a method, and the methods.

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use taskweave::kernels::autograd::Gradient;
use taskweave::loss::{
    Aggregator, AggregatorConfig, Gramian, Jacobian, Weighting, WeightingConfig, scalarized,
};
use taskweave::prelude::*;

use super::losses;

/// One way of combining two losses.
enum Rule {
    /// By the Gramian.
    Weighting(Box<dyn Weighting>),
    /// By the losses.
    Scalarizer(Box<dyn Scalarizer>),
    /// Coordinate by coordinate.
    Aggregator(Box<dyn Aggregator>),
}

/// The methods by name. Methods of losses that have to be positive are left out: these losses go below 0.
pub const METHODS: [&str; 18] = [
    "mean",
    "random",
    "norm_balance",
    "mgda",
    "dualproj",
    "upgrad",
    "pcgrad",
    "gradvac",
    "imtl_g",
    "cagrad",
    "nash_mtl",
    "fairgrad",
    "aligned_mtl",
    "config",
    "famo",
    "famo_undecayed",
    "stch",
    "graddrop",
];

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

/// Where Adam goes from a start, by a method with the first loss at a scale.
pub fn descend(name: &str, scale: f64, start: [f64; 2], (steps, rate): (u32, f64)) -> Result<Path> {
    let mut rule = Rule::new(name, scale)?;
    let (mut x, mut moments, mut points) = (start, [[0.0; 2]; 2], vec![start]);
    for step in 1..=steps {
        let Some(update) = rule.update(x, scale)? else { break };
        for i in 0..2 {
            moments[0][i] = 0.9 * moments[0][i] + 0.1 * update[i];
            moments[1][i] = 0.999 * moments[1][i] + 0.001 * update[i] * update[i];
            let mean = moments[0][i] / (1.0 - 0.9f64.powi(step as i32));
            let square = moments[1][i] / (1.0 - 0.999f64.powi(step as i32));
            x[i] -= rate * mean / (square.sqrt() + 1e-8);
        }
        if let Rule::Scalarizer(scalarizer) = &mut rule {
            let [first, second] = losses(x, scale).map(|loss| loss.value);
            scalarizer.after_step(&Named::new([("first", first), ("second", second)])?)?;
        }
        if step.is_multiple_of(steps.div_ceil(250)) {
            points.push(x);
        }
    }
    points.push(x);
    Ok(Path { points })
}

impl Rule {
    fn new(name: &str, scale: f64) -> Result<Self> {
        fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
            serde_json::from_value(value).map_err(|e| Error::parameter("method", "one of this example", e))
        }
        // No loss falls below −20 times its scale.
        let least = [-20.0 * scale, -20.0];
        Ok(match name {
            "famo" => {
                Self::Scalarizer(read::<ScalarizerConfig>(json!({ "name": name, "bound": least }))?.build())
            }
            "famo_undecayed" => {
                let config = json!({ "name": "famo", "bound": least, "weight_decay": 0 });
                Self::Scalarizer(read::<ScalarizerConfig>(config)?.build())
            }
            "stch" => {
                let config = json!({ "name": name, "mu": 0.1, "ideal": least, "preference": [1.0, 1.0] });
                Self::Scalarizer(read::<ScalarizerConfig>(config)?.build())
            }
            "graddrop" => Self::Aggregator(read::<AggregatorConfig>(json!({ "name": name }))?.build()?),
            _ => Self::Weighting(read::<WeightingConfig>(json!({ "name": name }))?.build()?),
        })
    }

    /// The update at `x`; nothing where tasks that bargain do not agree, which is where nothing is left to gain.
    fn update(&mut self, x: [f64; 2], scale: f64) -> Result<Option<[f64; 2]>> {
        let found = losses(x, scale);
        let rows = found.map(|loss| loss.slope);
        let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu);
        let weights = match self {
            Self::Weighting(weighting) => {
                let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
                let gramian = Gramian::new(["first", "second"], &rows.map(|a| rows.map(|b| dot(a, b))))?;
                match weighting.weights(&gramian) {
                    Err(Error::NotConverged { .. }) => return Ok(None),
                    weights => weights?,
                }
            }
            Self::Scalarizer(scalarizer) => {
                let [first, second] = found.map(|loss| Tensor::new(loss.value, &Device::Cpu));
                let losses = Named::new([("first", first?), ("second", second?)])?;
                scalarized(&mut **scalarizer, &losses)?.weights.values().copied().collect()
            }
            Self::Aggregator(aggregator) => {
                let [first, second] = [tensor(&rows[0])?, tensor(&rows[1])?];
                let row = |block: Tensor| Named::new([("x", Gradient::from(block))]);
                let jacobian =
                    Jacobian::new(Named::new([("first", row(first)?), ("second", row(second)?)])?)?;
                let mut gradient = aggregator.aggregate(&jacobian)?.gradient;
                let x = gradient.remove("x").map(Gradient::into_dense).transpose()?;
                let x = x.map_or(Ok(vec![0.0; 2]), |x| x.to_vec1::<f64>())?;
                return Ok(Some([x[0], x[1]]));
            }
        };
        Ok(Some([0, 1].map(|i| weights[0] * rows[0][i] + weights[1] * rows[1][i])))
    }
}
