//! Every: the weights of another method, computed anew at each n-th step only.
//!
//! In between, the last weights stay, unless a task is there that had none. Nash-MTL and its like are used this way where solving
//! is the larger cost.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Weighting, WeightingConfig, checked};
use crate::{
    Gramian,
    attempt::attempt,
    known_tasks::{self, KnownTasks},
};

/// Weights of another method at each n-th step.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `steps` | required | ≥ 1 | n |
/// | `of` | required | a weighting | the method |
///
/// # Errors
/// Those of the method, those of [`checked`] for its weights, and [`Error::Shape`] for other tasks than before, or than were
/// [named](Weighting::prepare). A call that is refused leaves the state as it was, that of the method too.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Every, NormBalance, Weighting}};
/// let mut every = Every::new(2, Box::new(NormBalance))?;
/// let norms = |a: f64, b: f64| Gramian::new(["class", "mask"], &[[a * a, 0.0], [0.0, b * b]]);
/// assert_eq!(every.weights(&norms(1.0, 7.0)?)?, [5.0, 5.0 / 7.0]);
/// assert_eq!(every.weights(&norms(5.0, 5.0)?)?, [5.0, 5.0 / 7.0]);
/// assert_eq!(every.weights(&norms(5.0, 5.0)?)?, [1.0, 1.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Every {
    steps: u64,
    of: Box<dyn Weighting>,
    last: Last,
}

/// The parameters of [`Every`] in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryConfig {
    /// From one computation to the next.
    pub steps: u64,
    /// The method.
    pub of: Box<WeightingConfig>,
}

impl EveryConfig {
    /// The wrapper around the method in its initial state.
    ///
    /// # Errors
    /// Those of [`Every::new`], here and inside.
    pub fn build(&self) -> Result<Every> {
        Every::new(self.steps, self.of.build()?)
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Last {
    /// Steps since the weights were computed, this one included; 0 before the first.
    age: u64,
    tasks: KnownTasks,
    /// Of every known task that was there then.
    weights: Vec<Option<f64>>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    last: Last,
    of: serde_json::Value,
}

impl Every {
    /// The weights of a method at each of `steps` steps.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no step.
    pub fn new(steps: u64, of: Box<dyn Weighting>) -> Result<Self> {
        if steps == 0 {
            return Err(Error::parameter("steps", "at least 1", steps));
        }
        Ok(Self { steps, of, last: Last::default() })
    }

    fn next(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (tasks, places) = self.last.tasks.places("Gramian", gramian.tasks())?;
        let Last { age, weights, tasks: known } = &mut self.last;
        weights.resize(tasks.len(), None);
        *known = tasks;
        if *age > 0 && *age < self.steps {
            let last: Option<Vec<f64>> = known_tasks::at(weights, &places).into_iter().collect();
            if let Some(last) = last {
                *age += 1;
                return Ok(last);
            }
        }
        let new = checked(gramian.tasks(), self.of.weights(gramian)?)?;
        weights.fill(None);
        known_tasks::put(weights, &places, new.iter().copied().map(Some));
        *age = 1;
        Ok(new)
    }
}

/// Weights are computed from Gramians alone, whose tasks have to be those of before: a number of tasks would not tell.
impl Weighting for Every {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        attempt(self, |every| every.next(gramian))
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.of.prepare(tasks)?;
        self.last.tasks.name(tasks)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        self.of.prefer(preference)?;
        self.last = Last { tasks: self.last.tasks.clone(), ..Last::default() };
        Ok(())
    }
}

impl Stateful for Every {
    fn save(&self) -> Result<State> {
        let State { values, tensors } = self.of.save()?;
        Ok(State { tensors, ..State::of(&Saved { last: self.last.clone(), of: values })? })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("every")?;
        if saved.last.weights.len() > saved.last.tasks.len() {
            return Err(Error::state("every", "no more weights than tasks", saved.last.weights.len()));
        }
        let tasks = self.last.tasks.restored(saved.last.tasks)?;
        self.of.restore(&State { values: saved.of, tensors: state.tensors.clone() })?;
        self.last = Last { tasks, ..saved.last };
        Ok(())
    }
}
