//! A score and how far it may be off.

use serde::{Deserialize, Serialize};

use crate::cotraining::kappa;
use crate::learner::{Answers, Matrix};

/// A score, larger is better, and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimate {
    pub(super) score: f64,
    pub(super) error: f64,
}

impl Estimate {
    /// Half an agreement, which stands on so many samples that it counts as exact, and half of this score; this score
    /// alone where nobody can agree.
    pub(super) fn with_agreement(self, kappa: Option<f64>) -> Self {
        match kappa {
            Some(kappa) => Self { score: 0.5 * (kappa + self.score), error: 0.5 * self.error },
            None => self,
        }
    }

    /// The score on labels. For values the standard error is that of the mean squared error, as a share of the variance.
    pub(super) fn of(said: &Matrix, labels: Vec<f64>, answers: Answers) -> Self {
        let n = labels.len() as f64;
        let score = score(said, labels.iter().copied(), answers);
        let error = match answers {
            Answers::Classes(_) => {
                let p = (score * n + 2.0) / (n + 4.0);
                (p * (1.0 - p) / (n + 4.0)).sqrt()
            }
            Answers::Value => {
                let squares: Vec<f64> =
                    said.values().iter().zip(&labels).map(|(said, label)| (said - label).powi(2)).collect();
                let scale = variance(&labels);
                (variance(&squares) / n.max(1.0)).sqrt() / if scale > 0.0 { scale } else { 1.0 }
            }
        };
        Self { score, error }
    }
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n
}

/// The accuracy of predictions; for values R², the share of the variance that they explain.
pub(crate) fn score(said: &Matrix, labels: impl Iterator<Item = f64>, answers: Answers) -> f64 {
    let labels: Vec<f64> = labels.collect();
    let n = labels.len().max(1) as f64;
    let pairs = || said.iter().map(|row| answers.label(row)).zip(&labels);
    match answers {
        Answers::Classes(_) => pairs().filter(|(said, label)| said == *label).count() as f64 / n,
        Answers::Value => {
            let mean = labels.iter().sum::<f64>() / n;
            let spread: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
            let wrong: f64 = pairs().map(|(said, label)| (said - label).powi(2)).sum();
            if spread > 0.0 { 1.0 - wrong / spread } else { -wrong / n }
        }
    }
}

/// The mean agreement beyond chance of each two learners, who say something of the same samples; nothing for one alone.
pub(super) fn mean_agreement(said: &[&Matrix], answers: Answers) -> Option<f64> {
    let pairs =
        said.iter().enumerate().flat_map(|(place, a)| said.iter().skip(place + 1).map(move |b| (a, b)));
    let found: Vec<f64> = pairs.map(|(a, b)| kappa(a, b, answers)).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_a_share_or_of_a_mean_of_squares() {
        let right = Matrix::of_rows(&vec![vec![0.9, 0.1]; 12]).unwrap();
        let estimate = Estimate::of(&right, vec![0.0; 12], Answers::Classes(2));
        // p = 14 / 16.
        assert_eq!(estimate.score, 1.0);
        assert!((estimate.error - (0.875f64 * 0.125 / 16.0).sqrt()).abs() < 1e-15);
        // Labels of variance 1; squared errors 0 and 1, of variance ¼.
        let said = Matrix::new(2, 1, vec![1.0, 2.0]).unwrap();
        let estimate = Estimate::of(&said, vec![1.0, 3.0], Answers::Value);
        assert_eq!((estimate.score, estimate.error), (0.5, 0.125f64.sqrt()));
    }
}
