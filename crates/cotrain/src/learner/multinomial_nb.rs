//! Multinomial naive Bayes: words of a page are drawn independently, given its class.
//!
//! Given counts x and the smoothing α over F features, with N_cf = Σᵢ wᵢ t_ic x_if and n_c = Σᵢ wᵢ t_ic,
//!     p(c | x) ∝ (n_c / Σ n) · Π_f θ_cf^{x_f},     θ_cf = (N_cf + α) / (Σ_f N_cf + α F).
//! Cost: one pass over the counts to learn, one to predict. Soft targets and weights count in proportion.
//! Guarantees: the exact maximum a posteriori; a class without weight has probability 0.
//! Reference: McCallum and Nigam, "A Comparison of Event Models for Naive Bayes Text Classification", AAAI workshop on
//! learning for text categorization 1998.

use taskweave_kernels::{Error, Result, State, Stateful};

use super::softmax::softmax;
use super::{Learner, Lesson, Matrix, check_columns, check_distributions, learned, saved};

/// Multinomial naive Bayes.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `smoothing` | 1 | > 0 | what is added to every count |
///
/// # Errors
/// [`Error::Parameter`] for counts below 0 and for targets that are no distributions.
///
/// # Example
/// [`Learner`] has one.
#[derive(Debug, Clone)]
pub struct MultinomialNb {
    smoothing: f64,
    fitted: Option<Fitted>,
}

/// The counts, which are saved, and the logarithms made of them.
#[derive(Debug, Clone)]
struct Fitted {
    /// `[classes, features]`.
    counts: Matrix,
    /// `[1, classes]`: the weight of each.
    classes: Matrix,
    log_prior: Vec<f64>,
    /// `[features, classes]`, so that a word's logarithms lie together.
    log_theta: Matrix,
}

impl MultinomialNb {
    /// With `smoothing` added to every count.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `smoothing` is not a finite number > 0.
    pub fn new(smoothing: f64) -> Result<Self> {
        match smoothing.is_finite() && smoothing > 0.0 {
            true => Ok(Self { smoothing, fitted: None }),
            false => Err(Error::parameter("smoothing", "a finite number > 0", smoothing)),
        }
    }

    fn fit(&self, counts: Matrix, classes: Matrix) -> Result<Fitted> {
        let weights = classes.row(0)?;
        let (all, width) = (weights.iter().sum::<f64>(), counts.columns());
        let mut log_theta = Matrix::zeros(width, counts.rows());
        for (class, row) in counts.iter().enumerate() {
            let total = (row.iter().sum::<f64>() + self.smoothing * width as f64).ln();
            for (feature, count) in row.iter().enumerate() {
                log_theta.row_mut(feature)[class] = (count + self.smoothing).ln() - total;
            }
        }
        let log_prior = weights.iter().map(|n| (n / all).ln()).collect();
        Ok(Fitted { counts, classes, log_prior, log_theta })
    }
}

impl Default for MultinomialNb {
    fn default() -> Self {
        Self { smoothing: 1.0, fitted: None }
    }
}

impl Learner for MultinomialNb {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        check_distributions(lesson)?;
        let mut counts = Matrix::zeros(lesson.targets().columns(), view.columns());
        let mut classes = Matrix::zeros(1, counts.rows());
        for (sample, target, weight) in lesson.iter() {
            let row = counts_of(view, sample)?;
            for (class, share) in target.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                classes.row_mut(0)[class] += weight * share;
                let sums = counts.row_mut(class);
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * share * x);
            }
        }
        self.fitted = Some(self.fit(counts, classes)?);
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let fitted = learned(self.fitted.as_ref())?;
        check_columns(view, fitted.counts.columns())?;
        let mut said = Matrix::zeros(samples.len(), fitted.log_prior.len());
        for (place, &sample) in samples.iter().enumerate() {
            let scores = said.row_mut(place);
            scores.copy_from_slice(&fitted.log_prior);
            for (feature, &count) in view.row(sample)?.iter().enumerate() {
                // Most words are not on a page.
                if count > 0.0 {
                    let logs = fitted.log_theta.row(feature)?;
                    scores.iter_mut().zip(logs).for_each(|(score, log)| *score += count * log);
                } else if count != 0.0 {
                    return Err(negative(sample, count));
                }
            }
            softmax(scores);
        }
        Ok(said)
    }
}

impl Stateful for MultinomialNb {
    fn save(&self) -> Result<State> {
        match &self.fitted {
            None => saved::save(&self.smoothing, None),
            Some(fitted) => saved::save(
                &self.smoothing,
                Some(&[("counts", &fitted.counts), ("classes", &fitted.classes)]),
            ),
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let known = saved::restore("MultinomialNb", &self.smoothing, (state, ["counts", "classes"]))?;
        self.fitted = known.map(|[counts, classes]| self.fit(counts, classes)).transpose()?;
        Ok(())
    }
}

fn counts_of(view: &Matrix, sample: usize) -> Result<&[f64]> {
    let row = view.row(sample)?;
    match row.iter().find(|count| **count < 0.0 || count.is_nan()) {
        Some(count) => Err(negative(sample, *count)),
        None => Ok(row),
    }
}

fn negative(sample: usize, count: f64) -> Error {
    Error::parameter(format!("count of sample {sample}"), "a number ≥ 0", count)
}
