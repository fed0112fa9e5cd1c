//! ReduceOnPlateau: times a factor where a metric stops getting better.
//!
//! ```text
//! better:  metric < best · (1 − threshold)   (minimize)   or   metric > best · (1 + threshold)   (maximize)
//! after more than `patience` observations in a row that are not better:  rate ← factor · rate
//! rate(t) = max(base · factor^reductions, minimum)
//! ```
//! Variants: this is PyTorch's with a relative threshold and no cooldown. A metric that is not finite is never
//! better. The threshold is relative to the signed best, so it suits metrics that are not negative.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Rate;
use crate::range;
use crate::remembers::remembers;

/// Which way of a metric is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Smaller is better: a loss.
    #[default]
    Minimize,
    /// Larger is better: an accuracy.
    Maximize,
}

/// Times a factor where a metric stops getting better.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `factor` | 0.1 | `(0, 1)` | what the rate is multiplied with |
/// | `patience` | 10 | | observations in a row that may be no better |
/// | `threshold` | 1e-4 | ≥ 0 | by which share of the best a better metric has to differ |
/// | `goal` | minimize | | which way is better |
/// | `minimum` | 0 | ≥ 0 | the smallest rate |
///
/// # Example
/// After the best metric one observation may be no better, the second reduces.
/// ```
/// use taskweave_cotrain::rate::{Rate, ReduceOnPlateau};
/// let mut plateau = ReduceOnPlateau::new(0.5, 1, 1e-4)?;
/// for (time, (metric, rate)) in [(3.0, 1.0), (2.0, 1.0), (2.0, 1.0), (2.5, 0.5)].into_iter().enumerate() {
///     plateau.observe(time as u64, metric);
///     assert_eq!(plateau.rate(1.0, time as u64 + 1), rate);
/// }
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct ReduceOnPlateau {
    factor: f64,
    patience: u64,
    threshold: f64,
    goal: Goal,
    minimum: f64,
    #[serde(skip)]
    memory: Memory,
}

/// What it has seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    worse: u64,
    reductions: u64,
}

impl ReduceOnPlateau {
    /// Times `factor` after more than `patience` observations without one that is smaller than the best by the
    /// share `threshold`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter outside its range.
    pub fn new(factor: f64, patience: u64, threshold: f64) -> Result<Self> {
        let (goal, minimum) = (Goal::default(), 0.0);
        Self { factor, patience, threshold, goal, minimum, memory: Memory::default() }.checked()
    }

    /// The same with another goal.
    pub fn with_goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    /// The same with a smallest rate.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate outside its range.
    pub fn with_minimum(self, minimum: f64) -> Result<Self> {
        Self { minimum, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        range::inside("factor", self.factor)?;
        range::not_negative("threshold", self.threshold)?;
        range::not_negative("minimum", self.minimum)?;
        Ok(self)
    }

    fn is_better(&self, metric: f64) -> bool {
        let Some(best) = self.memory.best else { return metric.is_finite() };
        // Relative to |best|, so that a metric below 0 has to get better by as much.
        let margin = self.threshold * best.abs();
        let better = match self.goal {
            Goal::Minimize => metric < best - margin,
            Goal::Maximize => metric > best + margin,
        };
        metric.is_finite() && better
    }
}

impl Rate for ReduceOnPlateau {
    fn rate(&self, base: f64, _time: u64) -> f64 {
        (base * self.factor.powf(self.memory.reductions as f64)).max(self.minimum)
    }

    fn observe(&mut self, _time: u64, metric: f64) {
        if self.is_better(metric) {
            (self.memory.best, self.memory.worse) = (Some(metric), 0);
            return;
        }
        self.memory.worse += 1;
        if self.memory.worse > self.patience {
            self.memory.worse = 0;
            self.memory.reductions += 1;
        }
    }
}

remembers!(ReduceOnPlateau, memory);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    factor: f64,
    patience: u64,
    threshold: f64,
    goal: Goal,
    minimum: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { factor: 0.1, patience: 10, threshold: 1e-4, goal: Goal::Minimize, minimum: 0.0 }
    }
}

impl TryFrom<Fields> for ReduceOnPlateau {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { factor, patience, threshold, goal, minimum } = fields;
        Self::new(factor, patience, threshold)?.with_goal(goal).with_minimum(minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(mut plateau: ReduceOnPlateau, metrics: &[f64]) -> Vec<f64> {
        let mut rate = |(t, metric): (usize, &f64)| {
            plateau.observe(t as u64, *metric);
            plateau.rate(1.0, t as u64 + 1)
        };
        metrics.iter().enumerate().map(&mut rate).collect()
    }

    #[test]
    fn an_accuracy_is_maximized() {
        let plateau = ReduceOnPlateau::new(0.5, 0, 0.1).unwrap().with_goal(Goal::Maximize);
        // 0.54 is not better than 0.5 by a tenth, 0.56 is.
        assert_eq!(rates(plateau, &[0.5, 0.54, 0.56, 0.2]), [1.0, 0.5, 0.5, 0.25]);
    }

    #[test]
    fn metrics_that_are_not_finite_are_never_better() {
        let plateau = ReduceOnPlateau::new(0.5, 0, 0.0).unwrap();
        let metrics = [f64::NAN, f64::NEG_INFINITY, 3.0, f64::NEG_INFINITY];
        assert_eq!(rates(plateau, &metrics), [0.5, 0.25, 0.25, 0.125]);
    }

    #[test]
    fn the_rate_does_not_fall_below_the_minimum() {
        let plateau = ReduceOnPlateau::new(0.1, 0, 0.0).unwrap().with_minimum(0.05).unwrap();
        assert_eq!(rates(plateau, &[1.0, 1.0, 1.0]), [1.0, 0.1, 0.05]);
    }
}
