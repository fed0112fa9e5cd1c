//! What a learner learns from: samples of its view, what to say of them, and how much each counts.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::Matrix;

/// What is said of a sample.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Answers;
/// assert_eq!(Answers::Classes(3).row(1.0)?, [0.0, 1.0, 0.0]);
/// assert_eq!(Answers::Value.row(0.25)?, [0.25]);
/// assert!(Answers::Classes(3).row(1.5).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answers {
    /// One of so many classes: a label is the number of the class, a prediction its probabilities.
    Classes(usize),
    /// A number.
    Value,
}

impl Answers {
    /// How many numbers a prediction has.
    pub fn width(self) -> usize {
        match self {
            Self::Classes(classes) => classes,
            Self::Value => 1,
        }
    }

    /// A label as a target: all probability on the class, or the number.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a label that is no class, [`Error::NonFinite`] for a NaN or an infinity.
    pub fn row(self, label: f64) -> Result<Vec<f64>> {
        match self {
            Self::Classes(classes) => match (0..classes).find(|&class| class as f64 == label) {
                Some(class) => Ok((0..classes).map(|c| f64::from(c == class)).collect()),
                None => Err(Error::parameter("label", format!("a class below {classes}"), label)),
            },
            Self::Value if label.is_finite() => Ok(vec![label]),
            Self::Value => Err(Error::non_finite("a value", "label")),
        }
    }

    /// What a prediction says: its most probable class, the first of those that are equal, or its number.
    pub fn label(self, prediction: &[f64]) -> f64 {
        match self {
            Self::Classes(_) => likeliest(prediction) as f64,
            Self::Value => prediction.first().copied().unwrap_or(0.0),
        }
    }
}

/// The most probable class, the first of those that are equal.
pub(crate) fn likeliest(probabilities: &[f64]) -> usize {
    let better = |best: usize, (class, p): (usize, &f64)| if *p > probabilities[best] { class } else { best };
    probabilities.iter().enumerate().fold(0, better)
}

/// Samples by number, a target for each and how much it counts.
///
/// # Shapes
/// `targets` `[samples, classes]`: a distribution over the classes; or `[samples, 1]`: a value. Weights ≥ 0; what weighs
/// 0 counts for nothing.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Lesson, Matrix};
/// let targets = Matrix::new(2, 2, vec![1.0, 0.0, 0.3, 0.7])?;
/// let lesson = Lesson::new(vec![5, 9], targets, vec![1.0, 0.5])?;
/// assert_eq!(lesson.iter().last(), Some((9, [0.3, 0.7].as_slice(), 0.5)));
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Lesson {
    samples: Vec<usize>,
    targets: Matrix,
    weights: Vec<f64>,
}

impl Lesson {
    /// A lesson of samples with targets and weights.
    ///
    /// # Errors
    /// [`Error::Shape`] for different numbers of the three, [`Error::NonFinite`] for a target that is not finite,
    /// [`Error::Parameter`] for a weight that is negative or not finite, or where nothing has weight.
    pub fn new(samples: Vec<usize>, targets: Matrix, weights: Vec<f64>) -> Result<Self> {
        if samples.len() != targets.rows() || samples.len() != weights.len() {
            let found = [samples.len(), targets.rows(), weights.len()];
            return Err(Error::shape(
                "samples, targets and weights of a lesson",
                "three equal numbers",
                &found,
            ));
        }
        if !targets.values().iter().all(|value| value.is_finite()) {
            return Err(Error::non_finite("a target", "lesson"));
        }
        if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            return Err(Error::parameter("weight in a lesson", "a finite number ≥ 0", weight));
        }
        if !weights.iter().any(|weight| *weight > 0.0) {
            return Err(Error::parameter("lesson", "at least one sample of weight > 0", 0));
        }
        Ok(Self { samples, targets, weights })
    }

    /// Samples with labels that count fully.
    ///
    /// # Errors
    /// Those of [`Answers::row`] and [`Lesson::new`].
    pub fn of_labels(answers: Answers, labels: impl IntoIterator<Item = (usize, f64)>) -> Result<Self> {
        let (samples, labels): (Vec<usize>, Vec<f64>) = labels.into_iter().unzip();
        let rows = labels.into_iter().map(|label| answers.row(label)).collect::<Result<Vec<_>>>()?;
        let weights = vec![1.0; samples.len()];
        Self::new(samples, Matrix::of_rows(&rows)?, weights)
    }

    /// This lesson and more samples.
    ///
    /// # Errors
    /// Those of [`Lesson::new`].
    pub fn and(mut self, samples: &[usize], targets: &Matrix, weights: &[f64]) -> Result<Self> {
        if targets.rows() > 0 && targets.columns() != self.targets.columns() {
            let expected = format!("[samples, {}]", self.targets.columns());
            return Err(Error::shape("targets of a lesson", expected, &[targets.rows(), targets.columns()]));
        }
        self.samples.extend_from_slice(samples);
        self.weights.extend_from_slice(weights);
        let (rows, columns) = (self.targets.rows() + targets.rows(), self.targets.columns());
        let targets = Matrix::new(rows, columns, [self.targets.values(), targets.values()].concat())?;
        Self::new(self.samples, targets, self.weights)
    }

    /// This lesson without some samples; nothing where no sample of weight is left.
    pub fn without(&self, samples: &[usize]) -> Option<Self> {
        let weight = |(sample, weight): (&usize, &f64)| if samples.contains(sample) { 0.0 } else { *weight };
        let weights = self.samples.iter().zip(&self.weights).map(weight).collect();
        Self::new(self.samples.clone(), self.targets.clone(), weights).ok()
    }

    /// The samples.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }

    /// The targets.
    pub fn targets(&self) -> &Matrix {
        &self.targets
    }

    /// Sample, target and weight of everything that counts.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[f64], f64)> {
        let all = self.samples.iter().zip(self.targets.iter()).zip(&self.weights);
        all.map(|((sample, target), weight)| (*sample, target, *weight))
            .filter(|(_, _, weight)| *weight > 0.0)
    }

    /// The sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}

/// What is read goes through the same check as what is made.
#[derive(Deserialize)]
struct Parts {
    samples: Vec<usize>,
    targets: Matrix,
    weights: Vec<f64>,
}

impl TryFrom<Parts> for Lesson {
    type Error = Error;

    fn try_from(Parts { samples, targets, weights }: Parts) -> Result<Self> {
        Self::new(samples, targets, weights)
    }
}
