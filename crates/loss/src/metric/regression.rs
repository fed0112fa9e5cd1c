//! Metrics of a regression, from running moments.
//!
//! Means and co-moments are updated value by value (Welford), so that a large common offset cancels before it
//! is squared: m ← m + (x − m)/n, S ← S + (x − m_old)(y − m_new).
//! Reference: Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products",
//! Technometrics 4 (1962).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};

use super::{Direction, Metric, observation};

/// Errors and correlation of predicted values, over all elements of all samples.
///
/// Values: `rmse` (primary, lower is better), `mae`, `r2`, `explained_variance`, `pearson`. Where the truth has
/// no variance, `r2` and `explained_variance` are 1 for a prediction without (residual) error and else 0; where
/// truth or prediction has none, `pearson` is 0. Several outputs are pooled.
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape; both floating point.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Metric, metric::Regression};
/// let mut metric = Regression::default();
/// let prediction = Tensor::new(&[1f64, 2.0, 6.0], &Device::Cpu)?;
/// metric.update(&prediction, &Target::new(Tensor::new(&[1f64, 2.0, 3.0], &Device::Cpu)?)?)?;
/// assert_eq!(metric.values()?["mae"], 1.0);
/// assert_eq!(metric.values()?["r2"], 1.0 - 9.0 / 2.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub struct Regression {
    count: f64,
    absolute: f64,
    squared: f64,
    truth: Moments,
    prediction: Moments,
    residual: Moments,
    /// Σ (prediction − mean)(truth − mean)
    joint: f64,
}

/// Running mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Moments {
    mean: f64,
    spread: f64,
}

impl Moments {
    fn push(&mut self, value: f64, count: f64) {
        let deviation = value - self.mean;
        self.mean += deviation / count;
        self.spread += deviation * (value - self.mean);
    }
}

impl Regression {
    fn push(&mut self, prediction: f64, truth: f64) {
        let error = prediction - truth;
        self.count += 1.0;
        self.absolute += error.abs();
        self.squared += error * error;
        let deviation = prediction - self.prediction.mean;
        self.truth.push(truth, self.count);
        self.prediction.push(prediction, self.count);
        self.residual.push(error, self.count);
        self.joint += deviation * (truth - self.truth.mean);
    }

    /// 1 − unexplained / variance of the truth.
    fn explained(&self, unexplained: f64) -> f64 {
        match (self.truth.spread > 0.0, unexplained > 0.0) {
            (true, _) => 1.0 - unexplained / self.truth.spread,
            (false, true) => 0.0,
            (false, false) => 1.0,
        }
    }

    fn pearson(&self) -> f64 {
        let scale = self.truth.spread.sqrt() * self.prediction.spread.sqrt();
        if scale > 0.0 { (self.joint / scale).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

impl Metric for Regression {
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()> {
        if !target.value().dtype().is_float() {
            return Err(Error::dtype("target", "a floating-point dtype", target.value().dtype()));
        }
        let pairs = observation::pairs("regression", prediction, target)?;
        if pairs.iter().any(|(p, t)| !p.is_finite() || !t.is_finite()) {
            return Err(Error::non_finite("prediction or target", "regression"));
        }
        pairs.into_iter().for_each(|(p, t)| self.push(p, t));
        Ok(())
    }

    fn values(&self) -> Result<Named<f64>> {
        if self.count == 0.0 {
            return Err(observation::nothing_seen("regression"));
        }
        Named::new([
            ("rmse", (self.squared / self.count).sqrt()),
            ("mae", self.absolute / self.count),
            ("r2", self.explained(self.squared)),
            ("explained_variance", self.explained(self.residual.spread)),
            ("pearson", self.pearson()),
        ])
    }

    fn primary(&self) -> &'static str {
        "rmse"
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {}

impl From<Fields> for Regression {
    fn from(Fields {}: Fields) -> Self {
        Self::default()
    }
}

impl From<Regression> for Fields {
    fn from(_: Regression) -> Self {
        Self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_offset_does_not_cost_the_variance() {
        let mut metric = Regression::default();
        for i in 0..1000 {
            let truth = 1e9 + f64::from(i % 2);
            metric.push(truth + 0.5, truth);
        }
        let values = metric.values().unwrap();
        assert!((values["r2"] - 0.0).abs() < 1e-6, "{}", values["r2"]); // 1 − ¼/¼
        assert!((values["explained_variance"] - 1.0).abs() < 1e-6);
        assert!((values["pearson"] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn without_variance_the_values_are_those_stated() {
        let (mut right, mut wrong) = (Regression::default(), Regression::default());
        (0..3).for_each(|_| right.push(2.0, 2.0));
        (0..3).for_each(|i| wrong.push(f64::from(i), 2.0));
        let (right, wrong) = (right.values().unwrap(), wrong.values().unwrap());
        assert_eq!((right["r2"], right["explained_variance"], right["pearson"]), (1.0, 1.0, 0.0));
        assert_eq!((wrong["r2"], wrong["explained_variance"], wrong["pearson"]), (0.0, 0.0, 0.0));
    }
}
