//! What the gate's score is formed from.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Named, Result};

use crate::cotraining::{Method, Room, kappa};
use crate::learner::{Answers, Matrix};

#[derive(Debug, Clone)]
pub(super) enum Evidence {
    None,
    Validation(Vec<(usize, f64)>),
    Unlabeled { folds: usize },
}

/// A score, larger is better, and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimate {
    pub(super) score: f64,
    pub(super) error: f64,
}

impl Evidence {
    /// The score of a session as it stands.
    pub(super) fn estimate(&self, room: &mut Room<'_>, method: &dyn Method) -> Result<Option<Estimate>> {
        match self {
            Self::None => Ok(None),
            Self::Validation(labeled) => {
                let samples: Vec<usize> = labeled.iter().map(|(sample, _)| *sample).collect();
                let said = room.team.predict(room.views, &samples)?;
                let said = method.combine(&said, room.pool.answers())?;
                let labels = labeled.iter().map(|(_, label)| *label).collect();
                Ok(Some(Estimate::of(&said, labels, room.pool.answers())))
            }
            Self::Unlabeled { folds } => {
                let validated = cross_validated(room, method, *folds)?;
                let Some(kappa) = mean_agreement(room)? else { return Ok(Some(validated)) };
                let Estimate { score, error } = validated;
                Ok(Some(Estimate { score: 0.5 * (kappa + score), error: 0.5 * error }))
            }
        }
    }
}

impl Estimate {
    /// The score on labels. For values the standard error is that of the mean squared error, as a share of the variance.
    fn of(said: &Matrix, labels: Vec<f64>, answers: Answers) -> Self {
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

/// The mean agreement beyond chance of each two learners; nothing for one alone.
fn mean_agreement(room: &Room<'_>) -> Result<Option<f64>> {
    let said = room.team.predict(room.views, &room.pool.without_given_label())?;
    let said: Vec<&Matrix> = said.values().collect();
    let mut found = Vec::new();
    for (place, a) in said.iter().enumerate() {
        found.extend(said.iter().skip(place + 1).map(|b| kappa(a, b, room.pool.answers())));
    }
    let mean = found.iter().sum::<f64>() / found.len().max(1) as f64;
    Ok((!found.is_empty()).then_some(mean))
}

/// The score on the given labels where every learner learns its last lesson without them and from the start, fold by fold.
fn cross_validated(room: &mut Room<'_>, method: &dyn Method, folds: usize) -> Result<Estimate> {
    let folds = deal(room, folds);
    let mut said = Vec::new();
    let mut labels = Vec::new();
    for fold in folds.iter().filter(|fold| !fold.is_empty()) {
        let mut predictions = Named::default();
        let names: Vec<String> = room.team.members().names().map(String::from).collect();
        for name in names {
            let row = match room.team.taught(&name).and_then(|lesson| lesson.without(fold)) {
                Some(lesson) => room.team.trial_anew(&name, room.views, (&lesson, fold))?,
                None => room.team.predict_by(&name, room.views, fold)?,
            };
            predictions.insert(name, row)?;
        }
        let together = method.combine(&predictions, room.pool.answers())?;
        said.extend(together.iter().map(<[f64]>::to_vec));
        labels.extend(fold.iter().filter_map(|sample| room.pool.labeled().get(sample)).copied());
    }
    Ok(Estimate::of(&Matrix::of_rows(&said)?, labels, room.pool.answers()))
}

/// The labeled samples in turn, class by class, so that every fold has its share of each.
fn deal(room: &Room<'_>, folds: usize) -> Vec<Vec<usize>> {
    let mut samples: Vec<(usize, f64)> = room.pool.labeled().iter().map(|(s, label)| (*s, *label)).collect();
    samples.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let mut dealt = vec![Vec::new(); folds];
    for (place, (sample, _)) in samples.into_iter().enumerate() {
        dealt[place % folds].push(sample);
    }
    dealt
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
