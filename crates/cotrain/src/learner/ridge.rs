//! Ridge regression with an intercept, for one or several outputs.
//!
//! Given weights wᵢ and targets tᵢ,
//!     minimise  Σᵢ wᵢ ‖B xᵢ + b − tᵢ‖² + λ ‖B‖²   over B, b.
//! With x and t centered by their weighted means, and rows scaled by √w: B = (XᵀX + λI)⁻¹ XᵀT, or XᵀA with
//! A = (XXᵀ + λI)⁻¹ T where there are fewer samples than features. Cost: one Cholesky factorization of the smaller side.
//! Guarantees: the exact minimum; b is not penalized.
//! Reference: Hoerl and Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12, 1970.

use nalgebra::DMatrix;
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Learner, Lesson, Matrix, check_columns, learned, saved};

/// Ridge regression; with one output per class it is a classifier by the largest output.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `penalty` | 1 | > 0 | λ, of the squared norm of the coefficients |
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::{Answers, Learner, Lesson, Matrix, Ridge};
/// let view = Matrix::new(3, 1, vec![-1.0, 1.0, 3.0])?;
/// let mut learner = Ridge::new(2.0)?;
/// learner.learn(&view, &Lesson::of_labels(Answers::Value, [(0, 0.0), (1, 4.0)])?)?;
/// assert!((learner.predict(&view, &[2])?.row(0)?[0] - 5.0).abs() < 1e-12); // b = 2, B = 4 / (2 + λ) = 1
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ridge {
    penalty: f64,
    /// `[outputs, features + 1]`, the intercept last.
    fitted: Option<Matrix>,
}

impl Ridge {
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

    /// B as `[features, outputs]`.
    fn solve(&self, x: &DMatrix<f64>, t: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        let dual = x.nrows() < x.ncols();
        let mut system = if dual { x * x.transpose() } else { x.transpose() * x };
        (0..system.nrows()).for_each(|i| system[(i, i)] += self.penalty);
        let factor = system.cholesky().ok_or_else(|| Error::NotConverged {
            method: "Ridge: Cholesky factorization".into(),
            iterations: 1,
            residual: f64::INFINITY,
        })?;
        Ok(if dual { x.transpose() * factor.solve(t) } else { factor.solve(&(x.transpose() * t)) })
    }
}

impl Default for Ridge {
    fn default() -> Self {
        Self { penalty: 1.0, fitted: None }
    }
}

impl Learner for Ridge {
    fn learn(&mut self, view: &Matrix, lesson: &Lesson) -> Result<()> {
        let (inputs, outputs) = (view.columns(), lesson.targets().columns());
        let total = lesson.weight();
        let (mut x_mean, mut t_mean) = (vec![0.0; inputs], vec![0.0; outputs]);
        for (sample, target, weight) in lesson.iter() {
            x_mean.iter_mut().zip(view.row(sample)?).for_each(|(m, x)| *m += weight / total * x);
            t_mean.iter_mut().zip(target).for_each(|(m, t)| *m += weight / total * t);
        }
        let rows: Vec<_> = lesson.iter().collect();
        let (mut x, mut t) = (DMatrix::zeros(rows.len(), inputs), DMatrix::zeros(rows.len(), outputs));
        for (row, (sample, target, weight)) in rows.into_iter().enumerate() {
            let root = weight.sqrt();
            let values = view.row(sample)?.iter().zip(&x_mean).map(|(x, m)| root * (x - m));
            x.row_mut(row).iter_mut().zip(values).for_each(|(to, v)| *to = v);
            let values = target.iter().zip(&t_mean).map(|(t, m)| root * (t - m));
            t.row_mut(row).iter_mut().zip(values).for_each(|(to, v)| *to = v);
        }
        let b = self.solve(&x, &t)?;
        let mut fitted = Matrix::zeros(outputs, inputs + 1);
        for (output, column) in b.column_iter().enumerate() {
            let row = fitted.row_mut(output);
            row.iter_mut().zip(column.iter()).for_each(|(to, v)| *to = *v);
            row[inputs] = t_mean[output] - column.iter().zip(&x_mean).map(|(b, m)| b * m).sum::<f64>();
        }
        self.fitted = Some(fitted);
        Ok(())
    }

    fn predict(&self, view: &Matrix, samples: &[usize]) -> Result<Matrix> {
        let fitted = learned(self.fitted.as_ref())?;
        let inputs = fitted.columns() - 1;
        check_columns(view, inputs)?;
        let mut said = Matrix::zeros(samples.len(), fitted.rows());
        for (place, &sample) in samples.iter().enumerate() {
            let x = view.row(sample)?;
            for (value, row) in said.row_mut(place).iter_mut().zip(fitted.iter()) {
                *value = row[inputs] + row.iter().zip(x).map(|(b, x)| b * x).sum::<f64>();
            }
        }
        Ok(said)
    }
}

impl Stateful for Ridge {
    fn save(&self) -> Result<State> {
        match &self.fitted {
            None => saved::save(&self.penalty, None),
            Some(fitted) => saved::save(&self.penalty, Some(&[("coefficients", fitted)])),
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let known = saved::restore("Ridge", &self.penalty, (state, ["coefficients"]))?;
        if known.as_ref().is_some_and(|[fitted]| fitted.columns() == 0) {
            return Err(Error::state("Ridge", "coefficients with an intercept", "none"));
        }
        self.fitted = known.map(|[fitted]| fitted);
        Ok(())
    }
}
