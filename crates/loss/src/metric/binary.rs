//! Metrics of binary decisions and of the scores behind them.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, Target};

use super::{
    Direction, Metric, observation,
    ranking::{average_precision, roc_auc},
};
use crate::parameter;

/// What the predictions of a [`Binary`] metric are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// Log-odds; the probability is their sigmoid.
    #[default]
    Logits,
    /// Probabilities; values beyond 0 and 1 rank as they are and count as 0 and 1 otherwise.
    Probabilities,
}

/// Ranking, decision and calibration of a binary task, over all elements of all samples.
///
/// Values: `roc_auc` (primary), `average_precision`, `f1`, `precision`, `recall`, `log_loss`, `brier`. With one
/// class absent `roc_auc` is ½; without positives `average_precision` and `recall` are 0, without predicted
/// positives `precision` is 0, and `f1` is 0 where both are. The log loss of a probability is bounded by keeping
/// it within 1e-6 of 0 and 1; that of a logit is exact. Memory grows by one number and a flag per element,
/// because a ranking cannot be summed up.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `scores` | logits | logits, probabilities | what the predictions are |
/// | `threshold` | ½ | [0, 1] | probability above which an element is called positive |
///
/// # Shapes
/// Prediction `[batch, …]`; target of the same shape, each 0 or 1, of any dtype.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Target;
/// use taskweave_loss::{Metric, metric::Binary};
/// let mut metric = Binary::default();
/// let logits = Tensor::new(&[2f64, 1.0, -1.0, 0.5], &Device::Cpu)?;
/// metric.update(&logits, &Target::new(Tensor::new(&[1u32, 0, 0, 1], &Device::Cpu)?)?)?;
/// assert_eq!(metric.values()?["roc_auc"], 0.75); // three of four pairs in order
/// assert_eq!(metric.values()?["recall"], 1.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Binary {
    scores: Scores,
    threshold: f64,
    seen: Vec<(f64, bool)>,
}

impl Binary {
    /// Nothing seen yet; elements are called positive where their probability exceeds `threshold`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a threshold outside [0, 1].
    pub fn new(scores: Scores, threshold: f64) -> Result<Self> {
        Ok(Self { scores, threshold: parameter::fraction("threshold", threshold)?, seen: Vec::new() })
    }

    fn probability(&self, score: f64) -> f64 {
        match self.scores {
            Scores::Logits => 1.0 / (1.0 + (-score).exp()),
            Scores::Probabilities => score.clamp(0.0, 1.0),
        }
    }

    fn log_loss(&self, score: f64, positive: bool) -> f64 {
        let signed = if positive { -score } else { score };
        match self.scores {
            Scores::Logits => signed.max(0.0) + (-signed.abs()).exp().ln_1p(),
            Scores::Probabilities => {
                let p = score.clamp(1e-6, 1.0 - 1e-6);
                -(if positive { p } else { 1.0 - p }).ln()
            }
        }
    }

    fn mean(&self, of: impl Fn(f64, bool) -> f64) -> f64 {
        self.seen.iter().map(|(score, positive)| of(*score, *positive)).sum::<f64>() / self.seen.len() as f64
    }
}

impl Default for Binary {
    fn default() -> Self {
        Self { scores: Scores::default(), threshold: 0.5, seen: Vec::new() }
    }
}

impl Metric for Binary {
    fn update(&mut self, prediction: &Tensor, target: &Target) -> Result<()> {
        let pairs = observation::pairs("binary", prediction, target)?;
        if let Some((_, bad)) = pairs.iter().find(|(_, t)| *t != 0.0 && *t != 1.0) {
            return Err(Error::parameter("target of binary", "0 or 1", bad));
        }
        self.seen.extend(pairs.into_iter().map(|(score, t)| (score, t == 1.0)));
        Ok(())
    }

    fn values(&self) -> Result<Named<f64>> {
        if self.seen.is_empty() {
            return Err(observation::nothing_seen("binary"));
        }
        let called = |score: f64| self.probability(score) > self.threshold;
        let share = |counts: &dyn Fn(f64, bool) -> bool| self.mean(|s, t| f64::from(u8::from(counts(s, t))));
        let hits = share(&|s, t| t && called(s));
        let (positives, calls) = (share(&|_, t| t), share(&|s, _| called(s)));
        let ratio = |above: f64, below: f64| if below > 0.0 { above / below } else { 0.0 };
        Named::new([
            ("roc_auc", roc_auc(&self.seen)),
            ("average_precision", average_precision(&self.seen)),
            ("f1", ratio(2.0 * hits, positives + calls)),
            ("precision", ratio(hits, calls)),
            ("recall", ratio(hits, positives)),
            ("log_loss", self.mean(|s, t| self.log_loss(s, t))),
            ("brier", self.mean(|s, t| (self.probability(s) - f64::from(u8::from(t))).powi(2))),
        ])
    }

    fn primary(&self) -> &'static str {
        "roc_auc"
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn reset(&mut self) {
        self.seen.clear();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    scores: Scores,
    threshold: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Binary::default().into()
    }
}

impl TryFrom<Fields> for Binary {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.scores, fields.threshold)
    }
}

impl From<Binary> for Fields {
    fn from(metric: Binary) -> Self {
        Self { scores: metric.scores, threshold: metric.threshold }
    }
}
