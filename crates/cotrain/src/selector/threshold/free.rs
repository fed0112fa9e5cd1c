//! FreeMatch: the network's own confidence as the threshold, lowered for classes that it predicts rarely.
//!
//! With the predictions q of a batch over C classes and the momentum m, from τ = p(c) = 1/C on,
//!     τ ← m·τ + (1 − m)·mean max q,   p(c) ← m·p(c) + (1 − m)·mean q(c),
//!     τ(c) = τ · p(c) / max_k p(k),
//! and the thresholds of a batch include the batch itself.
//! Variants: the self-adaptive threshold; the paper's second part, a loss for even class frequencies (weight 0.01 to
//! 0.05), is left out.
//! Reference: Wang et al., "FreeMatch", ICLR 2023, <https://arxiv.org/abs/2205.07246>, eqs. 5–8.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{Probabilities, Threshold};
use crate::range;
use crate::remembers::remembers;

/// Takes a prediction that is surer than the network usually is for such a class.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `momentum` | 0.999 | [0, 1) | share of the running means that a batch keeps |
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::threshold::{Free, Probabilities, Threshold};
/// let mut threshold = Free::new(0.5)?;
/// let p = Probabilities::new(2, vec![1.0, 0.0, 0.6, 0.4])?;
/// // τ = ½·½ + ½·0.8 = 0.65; p = ½·½ + ½·(0.8, 0.2) = (0.65, 0.35).
/// assert_eq!(threshold.select(&[0, 1], &p)?, [true, false]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Free {
    momentum: f64,
    #[serde(skip)]
    means: Means,
}

/// The running means; empty before the first batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Means {
    confidence: f64,
    classes: Vec<f64>,
}

impl Free {
    /// Running means that keep the share `momentum` with each batch.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `momentum` outside [0, 1).
    pub fn new(momentum: f64) -> Result<Self> {
        range::below_one("momentum of a free threshold", momentum)?;
        Ok(Self { momentum, means: Means::default() })
    }

    fn observe(&mut self, p: &Probabilities) -> Result<()> {
        let (classes, rows) = (p.classes(), p.rows().len() as f64);
        if self.means.classes.is_empty() {
            let even = 1.0 / classes as f64;
            self.means = Means { confidence: even, classes: vec![even; classes] };
        }
        if self.means.classes.len() != classes {
            let expected = format!("{}, as before", self.means.classes.len());
            return Err(Error::parameter("classes of a free threshold", expected, classes));
        }
        let keep = |old: f64, new: f64| self.momentum * old + (1.0 - self.momentum) * new;
        let confidence = p.best().iter().map(|(_, confidence)| confidence).sum::<f64>() / rows;
        self.means.confidence = keep(self.means.confidence, confidence);
        let mean = |class: usize| p.rows().map(|row| row[class]).sum::<f64>() / rows;
        self.means.classes =
            self.means.classes.iter().enumerate().map(|(c, old)| keep(*old, mean(c))).collect();
        Ok(())
    }

    /// The threshold of a class, as it stands; 0 before the first batch.
    pub fn of_class(&self, class: u32) -> f64 {
        let most = self.means.classes.iter().copied().fold(0.0, f64::max);
        let share = self.means.classes.get(class as usize).map_or(0.0, |p| p / most);
        self.means.confidence * share
    }
}

impl Default for Free {
    fn default() -> Self {
        Self { momentum: 0.999, means: Means::default() }
    }
}

impl Threshold for Free {
    fn select(&mut self, _: &[usize], p: &Probabilities) -> Result<Vec<bool>> {
        if p.rows().len() == 0 {
            return Ok(Vec::new());
        }
        self.observe(p)?;
        Ok(p.best().iter().map(|(class, confidence)| *confidence >= self.of_class(*class)).collect())
    }
}

remembers!(Free, means);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    momentum: f64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { momentum: Free::default().momentum }
    }
}

impl TryFrom<Fields> for Free {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.momentum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_predicted_rarely_has_a_lower_threshold() {
        let mut threshold = Free::new(0.5).unwrap();
        let p = Probabilities::new(2, vec![1.0, 0.0, 0.6, 0.4]).unwrap();
        threshold.select(&[0, 1], &p).unwrap();
        assert!((threshold.of_class(0) - 0.65).abs() < 1e-15);
        assert!((threshold.of_class(1) - 0.35).abs() < 1e-15);
        let other = Probabilities::new(3, vec![0.2, 0.3, 0.5]).unwrap();
        assert!(matches!(threshold.select(&[0], &other), Err(Error::Parameter { .. })));
    }

    #[test]
    fn an_empty_batch_teaches_nothing() {
        let mut threshold = Free::default();
        assert!(threshold.select(&[], &Probabilities::new(2, Vec::new()).unwrap()).unwrap().is_empty());
        assert_eq!(threshold, Free::default());
        assert!(Free::new(1.0).is_err() && Free::new(-0.1).is_err());
    }
}
