//! Gaussian naive Bayes: every feature is normal, given the class, and independent of the others.
//!
//! With n_c = Σᵢ wᵢ t_ic, m_cf and v_cf the weighted mean and variance of feature f in class c, and
//! s = `smoothing` · (the largest variance of any feature over all samples):
//!     p(c | x) ∝ (n_c / Σ n) · Π_f N(x_f; m_cf, v_cf + s).
//! Cost: two passes over the numbers to learn, one to predict.
//! Guarantees: a class without weight has probability 0; where all features are constant, the prior alone counts.
//! Reference: Duda and Hart, "Pattern Classification and Scene Analysis", Wiley 1973.

use taskweave_kernels::{Error, Result, State, Stateful};

use super::softmax::softmax;
use super::{Learner, Lesson, Matrix, check_columns, check_distributions, learned, saved};

/// Gaussian naive Bayes.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `smoothing` | 1e-9 | > 0 | share of the largest variance that is added to every variance |
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Answers, GaussianNb, Learner, Lesson, Matrix};
/// let view = Matrix::new(5, 1, vec![-2.0, 0.0, 4.0, 6.0, 2.0])?;
/// let labels = [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0)];
/// let mut learner = GaussianNb::default();
/// learner.learn(&view, &Lesson::of_labels(Answers::Classes(2), labels)?)?;
/// assert_eq!(learner.predict(&view, &[4])?.values(), [0.5, 0.5]); // as far from −1 as from 5
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianNb {
    smoothing: f64,
    fitted: Option<Fitted>,
}

#[derive(Debug, Clone)]
struct Fitted {
    /// `[1, classes]`: the weight of each.
    classes: Matrix,
    /// `[classes, features]`.
    mean: Matrix,
    /// `[classes, features]`, smoothed.
    variance: Matrix,
}

impl GaussianNb {
    /// With that share of the largest variance added to every variance.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `smoothing` is not a finite number > 0.
    pub fn new(smoothing: f64) -> Result<Self> {
        match smoothing.is_finite() && smoothing > 0.0 {
            true => Ok(Self { smoothing, fitted: None }),
            false => Err(Error::parameter("smoothing", "a finite number > 0", smoothing)),
        }
    }
}

impl Default for GaussianNb {
    fn default() -> Self {
        Self { smoothing: 1e-9, fitted: None }
    }
}

impl Learner for GaussianNb {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        check_distributions(lesson)?;
        let (classes, mean) = means(view, lesson)?;
        let mut variance = Matrix::zeros(mean.rows(), mean.columns());
        for (sample, target, weight) in lesson.iter() {
            for (class, share) in target.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                let share = weight * share / classes.row(0)?[class];
                let distance = view.row(sample)?.iter().zip(mean.row(class)?);
                let sums = variance.row_mut(class).iter_mut().zip(distance);
                sums.for_each(|(sum, (x, m))| *sum += share * (x - m).powi(2));
            }
        }
        let largest = largest_variance(view, lesson)?;
        // Where every feature is constant any positive number says the same.
        let floor = if largest > 0.0 { self.smoothing * largest } else { 1.0 };
        for class in 0..variance.rows() {
            variance.row_mut(class).iter_mut().for_each(|v| *v += floor);
        }
        self.fitted = Some(Fitted { classes, mean, variance });
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let fitted = learned(self.fitted.as_ref())?;
        check_columns(view, fitted.mean.columns())?;
        let weights = fitted.classes.row(0)?;
        let normalizer = |variance: &[f64]| variance.iter().map(|v| v.ln()).sum::<f64>();
        let normalizers: Vec<f64> = fitted.variance.iter().map(normalizer).collect();
        let mut said = Matrix::zeros(samples.len(), weights.len());
        for (place, &sample) in samples.iter().enumerate() {
            let x = view.row(sample)?;
            let scores = said.row_mut(place);
            for (class, score) in scores.iter_mut().enumerate() {
                let (mean, variance) = (fitted.mean.row(class)?, fitted.variance.row(class)?);
                let distance: f64 =
                    x.iter().zip(mean).zip(variance).map(|((x, m), v)| (x - m).powi(2) / v).sum();
                *score = weights[class].ln() - 0.5 * (normalizers[class] + distance);
            }
            softmax(scores);
        }
        Ok(said)
    }
}

impl Stateful for GaussianNb {
    fn save(&self) -> Result<State> {
        match &self.fitted {
            None => saved::save(&self.smoothing, None),
            Some(Fitted { classes, mean, variance }) => saved::save(
                &self.smoothing,
                Some(&[("classes", classes), ("mean", mean), ("variance", variance)]),
            ),
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let names = ["classes", "mean", "variance"];
        let known = saved::restore("GaussianNb", &self.smoothing, (state, names))?;
        self.fitted = known.map(|[classes, mean, variance]| Fitted { classes, mean, variance });
        Ok(())
    }
}

/// The weight of each class `[1, classes]`, and its means `[classes, features]`.
fn means(view: &Matrix, lesson: &Lesson) -> Result<(Matrix, Matrix)> {
    let mut mean = Matrix::zeros(lesson.targets().columns(), view.columns());
    let mut classes = Matrix::zeros(1, mean.rows());
    for (sample, target, weight) in lesson.iter() {
        let x = view.row(sample)?;
        for (class, share) in target.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            classes.row_mut(0)[class] += weight * share;
            mean.row_mut(class).iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * share * x);
        }
    }
    for (class, &weight) in classes.values().iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        mean.row_mut(class).iter_mut().for_each(|sum| *sum /= weight);
    }
    Ok((classes, mean))
}

fn largest_variance(view: &Matrix, lesson: &Lesson) -> Result<f64> {
    let (mut mean, mut square, total) =
        (vec![0.0; view.columns()], vec![0.0; view.columns()], lesson.weight());
    for (sample, _, weight) in lesson.iter() {
        mean.iter_mut().zip(view.row(sample)?).for_each(|(m, x)| *m += weight / total * x);
    }
    for (sample, _, weight) in lesson.iter() {
        let distance = view.row(sample)?.iter().zip(&mean);
        square.iter_mut().zip(distance).for_each(|(s, (x, m))| *s += weight / total * (x - m).powi(2));
    }
    let samples: Vec<usize> = lesson.iter().map(|(sample, ..)| sample).collect();
    let varying = square.into_iter().zip(view.varying(&samples)?).filter(|(_, varies)| *varies);
    Ok(varying.map(|(square, _)| square).fold(0.0, f64::max))
}
