//! EMA: the weights of another method, smoothed over time.
//!
//! Given the weights w_new of the other method, returns
//!     w ← β w + (1 − β) w_new,   the first w as it comes.
//! Correlation-reduced: the weights no longer depend on one batch alone, which removes the bias that a weighting from
//! the same batch as the gradients has. Guarantees of the method hold on average only.
//! Reference: Zhou et al., "On the Convergence of Stochastic Multi-Objective Gradient Manipulation and Beyond" (CR-MOGM),
//! NeurIPS 2022, algorithm 1.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result, State, Stateful};

use super::{Weighting, WeightingConfig, checked};
use crate::{
    Gramian,
    attempt::attempt,
    known_tasks::{self, KnownTasks},
    parameter,
};

/// Weights of another method, smoothed.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta` | 0.9 | [0, 1] | how slowly the weights follow |
/// | `of` | required | a weighting | the method |
///
/// # Errors
/// Those of the method, those of [`checked`] for its weights, and [`Error::Shape`] for other tasks than before, or than were
/// [named](Weighting::prepare). A call that is refused leaves the state as it was, that of the method too.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Ema, NormBalance, Weighting}};
/// let mut ema = Ema::new(0.5, Box::new(NormBalance))?;
/// let norms = |a: f64, b: f64| Gramian::new(["class", "mask"], &[[a * a, 0.0], [0.0, b * b]]);
/// assert_eq!(ema.weights(&norms(1.0, 7.0)?)?, [5.0, 5.0 / 7.0]);
/// assert_eq!(ema.weights(&norms(5.0, 5.0)?)?, [3.0, 0.5 + 2.5 / 7.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub struct Ema {
    beta: f64,
    of: Box<dyn Weighting>,
    tasks: KnownTasks,
    /// Of every known task that has had one.
    weights: Vec<Option<f64>>,
}

/// The parameters of [`Ema`] in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// How slowly the weights follow.
    #[serde(default = "slowly")]
    pub beta: f64,
    /// The method.
    pub of: Box<WeightingConfig>,
}

fn slowly() -> f64 {
    0.9
}

impl EmaConfig {
    /// The wrapper around the method in its initial state.
    ///
    /// # Errors
    /// Those of [`Ema::new`], here and inside.
    pub fn build(&self) -> Result<Ema> {
        Ema::new(self.beta, self.of.build()?)
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    tasks: KnownTasks,
    weights: Vec<Option<f64>>,
    of: serde_json::Value,
}

impl Ema {
    /// The weights of a method, of which the share `beta` stays at every step.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `beta` outside [0, 1].
    pub fn new(beta: f64, of: Box<dyn Weighting>) -> Result<Self> {
        Ok(Self {
            beta: parameter::fraction("beta", beta)?,
            of,
            tasks: KnownTasks::default(),
            weights: Vec::new(),
        })
    }

    fn follow(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (tasks, places) = self.tasks.places("Gramian", gramian.tasks())?;
        let new = checked(gramian.tasks(), self.of.weights(gramian)?)?;
        self.weights.resize(tasks.len(), None);
        let follow =
            |(old, new): (Option<f64>, f64)| old.map_or(new, |old| self.beta * old + (1.0 - self.beta) * new);
        let weights: Vec<f64> =
            known_tasks::at(&self.weights, &places).into_iter().zip(new).map(follow).collect();
        known_tasks::put(&mut self.weights, &places, weights.iter().copied().map(Some));
        self.tasks = tasks;
        Ok(weights)
    }
}

/// Weights are computed from Gramians alone, whose tasks have to be those of before: a number of tasks would not tell.
impl Weighting for Ema {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        attempt(self, |ema| ema.follow(gramian))
    }

    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.of.prepare(tasks)?;
        self.tasks.name(tasks)
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        self.of.prefer(preference)?;
        self.weights = Vec::new();
        Ok(())
    }
}

impl Stateful for Ema {
    fn save(&self) -> Result<State> {
        let State { values, tensors } = self.of.save()?;
        Ok(State {
            tensors,
            ..State::of(&Saved { tasks: self.tasks.clone(), weights: self.weights.clone(), of: values })?
        })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Saved = state.read("ema")?;
        if saved.weights.len() > saved.tasks.len() {
            return Err(Error::state("ema", "no more weights than tasks", saved.weights.len()));
        }
        let tasks = self.tasks.restored(saved.tasks)?;
        self.of.restore(&State { values: saved.of, tensors: state.tensors.clone() })?;
        (self.tasks, self.weights) = (tasks, saved.weights);
        Ok(())
    }
}
