//! Multi-task against single-task results in one number.
//!
//! Given for each task t its metrics m, the result M of the multi-task model and the result B of a model trained
//! on that task alone, with s = 1 where higher is better and s = −1 where lower is better,
//!     improvement = s·(M − B)/|B|
//!     Δp = 100 · mean over tasks of the mean over a task's metrics of the improvement      (higher is better)
//!     Δm = −100 · mean over all metrics of the improvement                                 (lower is better)
//! Both are percentages. They differ in sign, and in weight where tasks have different numbers of metrics.
//! Variants: papers divide by B; dividing by |B| is the same for positive metrics and keeps the sign right for a
//! baseline below zero, such as a negative R².
//! Reference: Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 5,
//! <https://arxiv.org/abs/1904.08918> (relative change per task); Liu et al., "Conflict-Averse Gradient Descent",
//! NeurIPS 2021, <https://arxiv.org/abs/2110.14048> (Δm over all metrics).

use taskweave_kernels::{Error, Named, Result};

use crate::{Direction, parameter};

/// One metric of a multi-task model beside that of a separately trained single-task model.
///
/// # Example
/// ```
/// use taskweave_loss::{Change, Direction};
/// let error = Change { multi: 0.4, single: 0.5, direction: Direction::Lower };
/// assert!((error.improvement("depth/rmse")? - 0.2).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The result of the multi-task model.
    pub multi: f64,
    /// The result of the single-task model.
    pub single: f64,
    /// Which way it is better.
    pub direction: Direction,
}

impl Change {
    /// Relative improvement over the single-task model, positive where better; `name` names it in errors.
    ///
    /// # Errors
    /// [`Error::Parameter`] for results that are not finite or a single-task result of 0.
    pub fn improvement(&self, name: &str) -> Result<f64> {
        parameter::finite(&format!("multi-task {name}"), self.multi)?;
        if !self.single.is_finite() || self.single == 0.0 {
            let expected = "a finite number other than 0";
            return Err(Error::parameter(format!("single-task {name}"), expected, self.single));
        }
        let change = (self.multi - self.single) / self.single.abs();
        Ok(match self.direction {
            Direction::Higher => change,
            Direction::Lower => -change,
        })
    }
}

/// Δp: the mean over tasks of the mean relative improvement of a task's metrics, in percent; higher is better.
///
/// # Errors
/// [`Error::Parameter`] for no task, a task without metrics, and as for [`Change::improvement`].
///
/// # Example
/// ```
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Change, Direction::*, delta_m, delta_p};
/// let change = |multi, single, direction| Change { multi, single, direction };
/// let tasks = Named::new([
///     ("class", Named::new([("accuracy", change(1.0, 0.5, Higher))])?), // +100 %
///     ("depth", Named::new([("mae", change(1.5, 1.0, Lower)), ("rmse", change(2.0, 2.0, Lower))])?), // −50 %, 0
/// ])?;
/// assert_eq!(delta_p(&tasks)?, 37.5); // (100 − 25) / 2
/// assert!((delta_m(&tasks)? + 50.0 / 3.0).abs() < 1e-12); // −(100 − 50 + 0) / 3
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn delta_p(tasks: &Named<Named<Change>>) -> Result<f64> {
    let improvements = improvements(tasks)?;
    Ok(100.0 * mean(improvements.iter().map(|metrics| mean(metrics.iter().copied()))))
}

/// Δm: the mean over all metrics of the signed relative change, in percent; lower is better.
///
/// # Errors
/// As for [`delta_p`].
pub fn delta_m(tasks: &Named<Named<Change>>) -> Result<f64> {
    Ok(-100.0 * mean(improvements(tasks)?.into_iter().flatten()))
}

fn improvements(tasks: &Named<Named<Change>>) -> Result<Vec<Vec<f64>>> {
    if tasks.is_empty() {
        return Err(Error::parameter("tasks", "at least one", 0));
    }
    let of_task = |(task, metrics): (&str, &Named<Change>)| {
        if metrics.is_empty() {
            return Err(Error::parameter(format!("metrics of `{task}`"), "at least one", 0));
        }
        metrics.iter().map(|(metric, change)| change.improvement(&format!("{metric} of `{task}`"))).collect()
    };
    tasks.iter().map(of_task).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(multi: f64, single: f64) -> Named<Named<Change>> {
        let change = Change { multi, single, direction: Direction::Higher };
        Named::new([("mask", Named::new([("mean_iou", change)]).unwrap())]).unwrap()
    }

    #[test]
    fn a_baseline_of_zero_is_named() {
        let error = delta_m(&one(0.5, 0.0)).unwrap_err().to_string();
        assert_eq!(error, "single-task mean_iou of `mask`: expected a finite number other than 0, found 0");
        assert!(delta_p(&one(f64::NAN, 1.0)).is_err());
        assert!(delta_p(&Named::default()).is_err());
        assert!(delta_p(&Named::new([("mask", Named::default())]).unwrap()).is_err());
    }

    #[test]
    fn better_than_a_negative_baseline_is_an_improvement() {
        assert_eq!(delta_p(&one(-0.1, -0.2)).unwrap(), 50.0);
        assert_eq!(delta_m(&one(-0.1, -0.2)).unwrap(), -50.0);
    }
}
