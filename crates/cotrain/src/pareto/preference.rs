//! The preference of the moment.

use std::sync::{Arc, PoisonError, RwLock};

use taskweave_kernels::{Error, Named, Result};

use crate::Step;

/// The preference of the moment: one number ≥ 0 per task, all together 1. Cloning shares it, so that a model, a callback
/// and whoever reads the model at another preference speak of the same one.
///
/// # Example
/// ```
/// use taskweave_cotrain::pareto::Preference;
/// use taskweave_kernels::Named;
/// let preference = Preference::new(["class", "mask"])?;
/// assert_eq!(preference.now()["mask"], 0.5);
/// preference.clone().set(&Named::new([("mask", 3.0), ("class", 1.0)])?)?;
/// assert_eq!(preference.now(), Named::new([("class", 0.25), ("mask", 0.75)])?);
/// assert!(preference.set(&Named::new([("class", 1.0), ("mask", -1.0)])?).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Preference {
    now: Arc<RwLock<Named<f64>>>,
}

impl Preference {
    /// All tasks equally.
    ///
    /// # Errors
    /// [`Error::Name`] for a task that is empty or comes twice, [`Error::Parameter`] for no task.
    pub fn new<N: Into<String>>(tasks: impl IntoIterator<Item = N>) -> Result<Self> {
        let tasks = Named::new(tasks.into_iter().map(|task| (task, 1.0)))?;
        Ok(Self { now: Arc::new(RwLock::new(normalized(&tasks)?)) })
    }

    /// The preference, the tasks in the order in which they were first given.
    pub fn now(&self) -> Named<f64> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it for all that read it; the numbers are divided by their sum.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a task that is missing or not known, [`Error::Parameter`] for numbers that are not finite and
    /// ≥ 0, or all 0.
    pub fn set(&self, preference: &Named<f64>) -> Result<()> {
        let tasks = self.now();
        preference.names().try_for_each(|task| tasks.require("task", task).map(drop))?;
        let ordered = tasks.try_map(|task, _| preference.require("task", task).copied())?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = normalized(&ordered)?;
        Ok(())
    }

    /// Changes it, and what the objective of a step is after.
    ///
    /// # Errors
    /// Those of [`Preference::set`] and [`Step::prefer`].
    pub fn apply(&self, step: &mut Step, preference: &Named<f64>) -> Result<()> {
        self.set(preference)?;
        step.prefer(&self.now())
    }
}

/// The same numbers, divided by their sum.
pub(super) fn normalized(preference: &Named<f64>) -> Result<Named<f64>> {
    let sum: f64 = preference.values().sum();
    let valid = preference.values().all(|r| r.is_finite() && *r >= 0.0) && sum.is_finite() && sum > 0.0;
    match valid {
        true => Ok(preference.map(|_, r| r / sum)),
        false => {
            let found = format!("{:?}", preference.values().collect::<Vec<_>>());
            Err(Error::parameter("preference", "finite numbers ≥ 0, one per task, not all 0", found))
        }
    }
}
