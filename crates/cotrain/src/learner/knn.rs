//! k-nearest-neighbor regression.
//!
//! Given the k samples of the lesson that are nearest to x by the Minkowski distance of order p,
//!     f(x) = Σ wᵢ tᵢ / Σ wᵢ   over those k.
//! Cost: nothing to learn, one pass over the lesson per sample to predict.
//! Variants: a sample of the lesson is its own nearest neighbor; of equally near ones the first in the lesson counts.
//! Reference: Cover and Hart, "Nearest Neighbor Pattern Classification", IEEE Trans. Information Theory 13, 1967.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Learner, Lesson, Matrix, check_columns, learned, saved};

/// k-nearest-neighbor regression; with one output per class it gives the shares of the classes.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `neighbors` | 3 | ≥ 1 | k; all where there are fewer |
/// | `order` | 2 | ≥ 1 | p of the distance |
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Answers, Knn, Learner, Lesson, Matrix};
/// let view = Matrix::new(4, 1, vec![0.0, 1.0, 9.0, 2.0])?;
/// let mut learner = Knn::new(2, 2.0)?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Value, [(0, 1.0), (1, 3.0), (2, 50.0)])?)?;
/// assert_eq!(learner.predict(&view, &[3])?.values(), [2.0]); // the nearest two are at 1 and 0
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Knn {
    parameters: Parameters,
    /// Inputs `[samples, features]`, targets `[samples, outputs]`, weights `[samples, 1]`.
    fitted: Option<[Matrix; 3]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Parameters {
    neighbors: usize,
    order: f64,
}

impl Knn {
    /// The nearest `neighbors` by the Minkowski distance of `order`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no neighbor or an order that is not a finite number ≥ 1.
    pub fn new(neighbors: usize, order: f64) -> Result<Self> {
        if neighbors == 0 {
            return Err(Error::parameter("neighbors", "at least 1", neighbors));
        }
        if !(order.is_finite() && order >= 1.0) {
            return Err(Error::parameter("order", "a finite number ≥ 1", order));
        }
        Ok(Self { parameters: Parameters { neighbors, order }, fitted: None })
    }
}

impl Default for Knn {
    fn default() -> Self {
        Self { parameters: Parameters { neighbors: 3, order: 2.0 }, fitted: None }
    }
}

impl Learner for Knn {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        let (mut inputs, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (sample, target, weight) in lesson.iter() {
            inputs.extend_from_slice(view.row(sample)?);
            targets.extend_from_slice(target);
            weights.push(weight);
        }
        let rows = weights.len();
        self.fitted = Some([
            Matrix::new(rows, view.columns(), inputs)?,
            Matrix::new(rows, lesson.targets().columns(), targets)?,
            Matrix::new(rows, 1, weights)?,
        ]);
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let [inputs, targets, weights] = learned(self.fitted.as_ref())?;
        check_columns(view, inputs.columns())?;
        let Parameters { neighbors, order } = self.parameters;
        let mut said = Matrix::zeros(samples.len(), targets.columns());
        for (place, &sample) in samples.iter().enumerate() {
            let near = nearest(inputs.iter(), view.row(sample)?, (neighbors, order));
            let total: f64 = near.iter().map(|&i| weights.values()[i]).sum();
            for i in near {
                let share = weights.values()[i] / total;
                let sums = said.row_mut(place).iter_mut().zip(targets.row(i)?);
                sums.for_each(|(sum, t)| *sum += share * t);
            }
        }
        Ok(said)
    }
}

impl Stateful for Knn {
    fn save(&self) -> Result<State> {
        match &self.fitted {
            None => saved::save(&self.parameters, None),
            Some([inputs, targets, weights]) => saved::save(
                &self.parameters,
                Some(&[("inputs", inputs), ("targets", targets), ("weights", weights)]),
            ),
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let known = saved::restore("Knn", &self.parameters, (state, ["inputs", "targets", "weights"]))?;
        if let Some([inputs, targets, weights]) = &known
            && (targets.rows() != inputs.rows() || weights.values().len() != inputs.rows())
        {
            let found = format!("{} and {}", targets.rows(), weights.values().len());
            return Err(Error::state("Knn", format!("{} targets and weights", inputs.rows()), found));
        }
        self.fitted = known;
        Ok(())
    }
}

/// The places of the nearest rows, nearest first.
pub(crate) fn nearest<'a>(
    rows: impl Iterator<Item = &'a [f64]>,
    x: &[f64],
    (neighbors, order): (usize, f64),
) -> Vec<usize> {
    let distance = |row: &[f64]| row.iter().zip(x).map(|(a, b)| (a - b).abs().powf(order)).sum::<f64>();
    let mut all: Vec<(f64, usize)> = rows.map(distance).enumerate().map(|(place, d)| (d, place)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(neighbors).map(|(_, place)| place).collect()
}
