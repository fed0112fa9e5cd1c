//! What several learners say together, and how far they agree.

use taskweave_kernels::{Error, Named, Result};

use crate::learner::{Answers, Matrix, likeliest};

/// The smallest probability whose logarithm is taken, so that one learner alone cannot rule a class out for good.
const LEAST: f64 = 1e-300;

/// The normalized product of probabilities, or the mean of values.
///
/// # Errors
/// Those of [`check_probabilities`].
pub(super) fn together(predictions: &Named<Matrix>, answers: Answers) -> Result<Matrix> {
    if let Answers::Classes(_) = answers {
        check_probabilities(predictions)?;
    }
    let rows = predictions.values().next().map_or(0, Matrix::rows);
    let mut said = Matrix::zeros(rows, answers.width());
    for row in 0..rows {
        for prediction in predictions.values() {
            let sums = said.row_mut(row).iter_mut().zip(prediction.row(row)?);
            match answers {
                Answers::Classes(_) => sums.for_each(|(sum, p)| *sum += p.max(LEAST).ln()),
                Answers::Value => sums.for_each(|(sum, v)| *sum += v / predictions.len() as f64),
            }
        }
        if let Answers::Classes(_) = answers {
            crate::learner::softmax(said.row_mut(row));
        }
    }
    Ok(said)
}

/// The share of a (weighted) vote for each class; of equally many votes the more probable class gets a hair more.
pub(super) fn majority(predictions: &Named<Matrix>, weights: &[f64], classes: usize) -> Result<Matrix> {
    let rows = predictions.values().next().map_or(0, Matrix::rows);
    let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut said = Matrix::zeros(rows, classes);
    for row in 0..rows {
        let shares = said.row_mut(row);
        for (prediction, weight) in predictions.values().zip(weights) {
            let p = prediction.row(row)?;
            shares.iter_mut().zip(p).for_each(|(share, p)| *share += 1e-6 * p * weight / total);
            if let Some(share) = shares.get_mut(likeliest(p)) {
                *share += (1.0 - 1e-6) * weight / total;
            }
        }
    }
    Ok(said)
}

/// Refuses what cannot be probabilities, as the values of a regression.
///
/// # Errors
/// [`Error::Parameter`] for a number below 0, with the learner.
pub(super) fn check_probabilities(said: &Named<Matrix>) -> Result<()> {
    for (learner, said) in said.iter() {
        if let Some(p) = said.values().iter().find(|p| **p < 0.0) {
            return Err(Error::parameter(format!("probability of `{learner}`"), "a number ≥ 0", p));
        }
    }
    Ok(())
}

/// The share of samples that two predictions give the same class; for values 1 − (their mean squared difference over
/// the sum of their variances), at least 0.
pub(crate) fn agreement(a: &Matrix, b: &Matrix, answers: Answers) -> f64 {
    let n = a.rows().max(1) as f64;
    match answers {
        Answers::Classes(_) => {
            a.iter().zip(b.iter()).filter(|(a, b)| likeliest(a) == likeliest(b)).count() as f64 / n
        }
        Answers::Value => {
            let spread = |m: &Matrix| {
                let mean = m.values().iter().sum::<f64>() / n;
                m.values().iter().map(|v| (v - mean).powi(2)).sum::<f64>()
            };
            let apart: f64 = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).powi(2)).sum();
            let spread = spread(a) + spread(b);
            if spread > 0.0 { (1.0 - apart / spread).max(0.0) } else { 0.0 }
        }
    }
}

/// Agreement beyond chance (Cohen's κ): 1 for equal predictions, 0 for what constant or independent ones would reach. Values
/// that do not vary agree by chance as well.
pub(crate) fn kappa(a: &Matrix, b: &Matrix, answers: Answers) -> f64 {
    let Answers::Classes(classes) = answers else { return agreement(a, b, answers) };
    let counts = |m: &Matrix| {
        let mut counts = vec![0usize; classes];
        m.iter().filter_map(|row| counts.get_mut(likeliest(row)).map(|count| *count += 1)).count();
        counts
    };
    // In whole numbers: shares that are rounded do not tell constant predictions from nearly constant ones.
    let (met, all) =
        (counts(a).iter().zip(counts(b)).map(|(a, b)| a * b).sum::<usize>(), a.rows() * a.rows());
    if met >= all {
        return 0.0;
    }
    let chance = met as f64 / all as f64;
    (agreement(a, b, answers) - chance) / (1.0 - chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(of: &[usize]) -> Matrix {
        let rows: Vec<Vec<f64>> = of.iter().map(|&c| Answers::Classes(2).row(c as f64).unwrap()).collect();
        Matrix::of_rows(&rows).unwrap()
    }

    #[test]
    fn the_product_of_probabilities_is_normalized() {
        let a = Matrix::new(1, 2, vec![0.8, 0.2]).unwrap();
        let b = Matrix::new(1, 2, vec![0.6, 0.4]).unwrap();
        let said = together(&Named::new([("a", a), ("b", b)]).unwrap(), Answers::Classes(2)).unwrap();
        assert!((said.values()[0] - 0.48 / 0.56).abs() < 1e-12);
    }

    #[test]
    fn constant_predictions_agree_by_chance_only() {
        let two = Answers::Classes(2);
        let (mixed, constant) = (classes(&[0, 1, 1, 0]), classes(&[1, 1, 1, 1]));
        assert_eq!(agreement(&constant, &constant, two), 1.0);
        assert_eq!(kappa(&constant, &constant, two), 0.0);
        for samples in [10, 66, 776] {
            let constant = classes(&vec![1; samples]);
            assert_eq!(kappa(&constant, &constant, two), 0.0, "{samples} samples");
        }
        assert_eq!(kappa(&mixed, &mixed, two), 1.0);
        assert_eq!(kappa(&mixed, &constant, two), 0.0);
        assert_eq!(kappa(&mixed, &classes(&[1, 0, 0, 1]), two), -1.0);
    }

    #[test]
    fn values_agree_as_far_as_they_vary_together() {
        let a = Matrix::new(3, 1, vec![0.0, 1.0, 2.0]).unwrap();
        let b = Matrix::new(3, 1, vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(agreement(&a, &a, Answers::Value), 1.0);
        assert_eq!(agreement(&a, &b, Answers::Value), 0.25); // 1 − 3 / (2 + 2)
        let constant = Matrix::new(3, 1, vec![4.0; 3]).unwrap();
        assert_eq!(kappa(&constant, &constant, Answers::Value), 0.0);
    }

    #[test]
    fn more_votes_win_and_equal_votes_go_by_probability() {
        let row = |p: f64| Matrix::new(1, 2, vec![p, 1.0 - p]).unwrap();
        let three = Named::new([("a", row(0.99)), ("b", row(0.4)), ("c", row(0.4))]).unwrap();
        let said = majority(&three, &[1.0; 3], 2).unwrap();
        assert_eq!(likeliest(said.row(0).unwrap()), 1);
        assert!((said.values().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let two = Named::new([("a", row(0.9)), ("b", row(0.2))]).unwrap();
        assert_eq!(likeliest(majority(&two, &[1.0; 2], 2).unwrap().row(0).unwrap()), 0);
    }
}
