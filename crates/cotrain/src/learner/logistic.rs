//! Logistic regression over any number of classes.
//!
//! Given weights wᵢ and targets tᵢ (distributions over the classes), p = softmax(W x + b),
//!     minimise  − Σᵢ wᵢ Σ_c t_ic log p_c(xᵢ) / Σᵢ wᵢ + (λ/2) ‖W‖²   over W, b.
//! Cost: L-BFGS to a gradient below 10⁻⁷ in every element; one pass over the samples per evaluation.
//! Guarantees: the minimum, from a fixed start. Not: unpenalized weights (λ must be > 0).
//! Variants: the loss is a mean, so that λ does not depend on the number of samples; b is not penalized; a class without
//! weight is left out and has probability 0.
//! Reference: Cox, "The Regression Analysis of Binary Sequences", J. Royal Statistical Society B 20, 1958.

use taskweave_kernels::{Error, Result, State, Stateful};

use super::softmax::softmax;
use super::{Learner, Lesson, Matrix, check_columns, check_distributions, lbfgs, learned, saved};

const TOLERANCE: f64 = 1e-7;

/// Logistic regression.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `penalty` | 0.01 | > 0 | λ, of the squared norm of the weights |
///
/// # Errors
/// [`Error::NotConverged`] where the features are scaled so badly that the minimum is not reached; see
/// [`Matrix::standardized`].
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Answers, Learner, Lesson, Logistic, Matrix};
/// let view = Matrix::new(3, 1, vec![-1.0, 1.0, 0.0])?;
/// let mut learner = Logistic::new(0.1)?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Classes(2), [(0, 0.0), (1, 1.0)])?)?;
/// assert!((learner.predict(&view, &[2])?.row(0)?[0] - 0.5).abs() < 1e-6); // half way between the classes
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Logistic {
    penalty: f64,
    /// `[classes, features + 1]`, the bias last; and `[1, classes]`, 1 for those that had weight.
    fitted: Option<[Matrix; 2]>,
}

impl Logistic {
    /// With the penalty λ.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is not a finite number > 0.
    pub fn new(penalty: f64) -> Result<Self> {
        match penalty.is_finite() && penalty > 0.0 {
            true => Ok(Self { penalty, fitted: None }),
            false => Err(Error::parameter("penalty", "a finite number > 0", penalty)),
        }
    }

    /// The objective and its gradient at W and b, both `[classes, features + 1]`.
    fn objective(&self, view: &Matrix, problem: (&Lesson, &Matrix), at: &[f64]) -> Result<(f64, Vec<f64>)> {
        let (lesson, present) = problem;
        let width = view.columns() + 1;
        let (total, mut value, mut slopes) = (lesson.weight(), 0.0, vec![0.0; at.len()]);
        let mut p = vec![0.0; present.columns()];
        for (sample, target, weight) in lesson.iter() {
            let x = view.row(sample)?;
            scores(at, x, present.row(0)?, &mut p);
            softmax(&mut p);
            for (class, (p, t)) in p.iter().zip(target).enumerate() {
                let share = weight / total;
                value -= if *t > 0.0 { share * t * p.max(f64::MIN_POSITIVE).ln() } else { 0.0 };
                let slopes = &mut slopes[class * width..][..width];
                slopes.iter_mut().zip(x).for_each(|(slope, x)| *slope += share * (p - t) * x);
                slopes[width - 1] += share * (p - t);
            }
        }
        for (class, weights) in at.chunks(width).enumerate() {
            let weights = &weights[..width - 1];
            value += 0.5 * self.penalty * weights.iter().map(|w| w * w).sum::<f64>();
            let slopes = slopes[class * width..].iter_mut().zip(weights);
            slopes.for_each(|(slope, w)| *slope += self.penalty * w);
        }
        Ok((value, slopes))
    }
}

impl Default for Logistic {
    fn default() -> Self {
        Self { penalty: 0.01, fitted: None }
    }
}

impl Learner for Logistic {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        check_distributions(lesson)?;
        let classes = lesson.targets().columns();
        let mut present = Matrix::zeros(1, classes);
        for (_, target, _) in lesson.iter() {
            let seen = present.row_mut(0).iter_mut().zip(target);
            seen.for_each(|(seen, share)| *seen = if *share > 0.0 { 1.0 } else { *seen });
        }
        let width = view.columns() + 1;
        let start = vec![0.0; classes * width];
        let at = |at: &[f64]| self.objective(view, (lesson, &present), at);
        let weights = Matrix::new(classes, width, lbfgs::minimum("Logistic", start, TOLERANCE, at)?)?;
        self.fitted = Some([weights, present]);
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let [weights, present] = learned(self.fitted.as_ref())?;
        check_columns(view, weights.columns() - 1)?;
        let mut said = Matrix::zeros(samples.len(), weights.rows());
        for (place, &sample) in samples.iter().enumerate() {
            let row = said.row_mut(place);
            scores(weights.values(), view.row(sample)?, present.row(0)?, row);
            softmax(row);
        }
        Ok(said)
    }
}

impl Stateful for Logistic {
    fn save(&self) -> Result<State> {
        match &self.fitted {
            None => saved::save(&self.penalty, None),
            Some([weights, present]) => {
                saved::save(&self.penalty, Some(&[("weights", weights), ("present", present)]))
            }
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let known = saved::restore("Logistic", &self.penalty, (state, ["weights", "present"]))?;
        if known.as_ref().is_some_and(|[weights, _]| weights.columns() == 0) {
            return Err(Error::state("Logistic", "weights with an intercept", "none"));
        }
        self.fitted = known;
        Ok(())
    }
}

/// W x + b, and −∞ for a class that is not present.
fn scores(weights: &[f64], x: &[f64], present: &[f64], scores: &mut [f64]) {
    for ((score, weights), present) in scores.iter_mut().zip(weights.chunks(x.len() + 1)).zip(present) {
        let sum: f64 = weights.iter().zip(x).map(|(w, x)| w * x).sum();
        *score = if *present > 0.0 { sum + weights[x.len()] } else { f64::NEG_INFINITY };
    }
}
