//! GradVac: gradients are turned towards each other until they meet as usual.
//!
//! For every task i, with a = gᵢ at first, and every other task j in random order, φ = cos(a, gⱼ) and the usual cosine ρᵢⱼ:
//!     if φ < ρᵢⱼ:   a ← a + ‖a‖ (ρᵢⱼ √(1 − φ²) − φ √(1 − ρᵢⱼ²)) / (‖gⱼ‖ √(1 − ρᵢⱼ²)) · gⱼ
//!     ρᵢⱼ ← (1 − β) ρᵢⱼ + β φ,   ρ = 0 at first
//! and w is such that Jᵀw is the sum of all a. After the turn, cos(a, gⱼ) = ρᵢⱼ. Cost: m³ in Gramian form. With ρ = 0 it
//! is PCGrad; no guarantee beyond.
//! Variants: the paper's β is 0.01, common code has 0.5, the default here. ρ is kept within ±(1 − 1e-9), so that nothing
//! is divided by 0. A gradient of 0 keeps the weight 1. The usual cosines of a task that a step lacks stay.
//! Reference: Wang et al., "Gradient Vaccine: Investigating and Improving Multi-task Optimization in Massively
//! Multilingual Models", ICLR 2021, <https://arxiv.org/abs/2010.05874>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Rng, State, Stateful};

use super::Weighting;
use crate::{Gramian, known_tasks::KnownTasks, parameter};

/// The largest cosine that is aimed at.
const MOST: f64 = 1.0 - 1e-9;

/// Gradients turned towards their usual cosines.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `beta` | 0.5 | [0, 1] | how fast the usual cosines follow |
/// | `seed` | 0 | any | seed of the random order of tasks |
///
/// # Errors
/// [`Error::Shape`] for other tasks than before, or than were [named](Weighting::prepare).
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{GradVac, Weighting}};
/// // At first the usual cosine is 0, and the conflict goes as in PCGrad.
/// let gramian = Gramian::new(["class", "mask"], &[[18.0, -22.0], [-22.0, 38.0]])?;
/// let weights = GradVac::new(0.5, 0)?.weights(&gramian)?;
/// assert!((weights[0] - 20.0 / 9.0).abs() < 1e-12 && (weights[1] - 30.0 / 19.0).abs() < 1e-12);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct GradVac {
    beta: f64,
    seed: u64,
    seen: Seen,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    rng: Rng,
    tasks: KnownTasks,
    usual: Vec<Vec<f64>>,
}

impl GradVac {
    /// Usual cosines that take the share `beta` of what is seen.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a `beta` outside [0, 1].
    pub fn new(beta: f64, seed: u64) -> Result<Self> {
        let seen =
            Seen { rng: Rng::new(seed).fork("gradvac"), tasks: KnownTasks::default(), usual: Vec::new() };
        Ok(Self { beta: parameter::fraction("beta", beta)?, seed, seen })
    }
}

impl Weighting for GradVac {
    fn prepare(&mut self, tasks: &[String]) -> Result<()> {
        self.seen.tasks.name(tasks)
    }

    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, norms) = (gramian.len(), gramian.norms());
        let (tasks, places) = self.seen.tasks.places("Gramian", gramian.tasks())?;
        if self.seen.usual.is_empty() {
            self.seen.usual = vec![vec![0.0; tasks.len()]; tasks.len()];
        }
        self.seen.tasks = tasks;
        let Seen { rng, usual, .. } = &mut self.seen;
        let mut weights = vec![0.0; size];
        for i in 0..size {
            let usual = &mut usual[places[i]];
            let mut others: Vec<usize> = (0..size).filter(|j| *j != i).collect();
            rng.shuffle(&mut others);
            let mut turned = Turned::new(gramian, i);
            for j in others.into_iter().filter(|j| norms[*j] > 0.0 && norms[i] > 0.0) {
                let phi = turned.towards(gramian, (j, norms[j]), usual[places[j]].clamp(-MOST, MOST));
                usual[places[j]] += self.beta * (phi - usual[places[j]]);
            }
            weights.iter_mut().zip(turned.part).for_each(|(weight, part)| *weight += part);
        }
        Ok(weights)
    }
}

/// A gradient in the course of being turned: Jᵀ part, its inner products with all gradients, its squared norm.
struct Turned {
    part: Vec<f64>,
    along: Vec<f64>,
    square: f64,
}

impl Turned {
    fn new(gramian: &Gramian, i: usize) -> Self {
        let mut part = vec![0.0; gramian.len()];
        part[i] = 1.0;
        Self { part, along: (0..gramian.len()).map(|j| gramian[(i, j)]).collect(), square: gramian[(i, i)] }
    }

    /// Turns it towards task j until the cosine is `usual`, where it is smaller; returns the cosine before.
    fn towards(&mut self, gramian: &Gramian, (j, norm): (usize, f64), usual: f64) -> f64 {
        let own = self.square.max(0.0).sqrt();
        if own == 0.0 {
            return 0.0;
        }
        let phi = (self.along[j] / own / norm).clamp(-1.0, 1.0);
        if phi < usual {
            let (sine, aim) = ((1.0 - phi * phi).sqrt(), (1.0 - usual * usual).sqrt());
            let more = own * (usual * sine - phi * aim) / (norm * aim);
            self.square += more * (2.0 * self.along[j] + more * gramian[(j, j)]);
            self.part[j] += more;
            self.along.iter_mut().enumerate().for_each(|(k, along)| *along += more * gramian[(j, k)]);
        }
        phi
    }
}

impl Stateful for GradVac {
    fn save(&self) -> Result<State> {
        State::of(&self.seen)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let seen: Seen = state.read("gradvac")?;
        let lengths = seen.usual.iter().map(Vec::len).chain([seen.usual.len()]);
        if let Some(length) = { lengths }.find(|n| !seen.usual.is_empty() && *n != seen.tasks.len()) {
            return Err(Error::state(
                "gradvac",
                "as many rows of cosines, and cosines in a row, as tasks",
                length,
            ));
        }
        self.seen = Seen { tasks: self.seen.tasks.restored(seen.tasks)?, ..seen };
        Ok(())
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    beta: f64,
    seed: u64,
}

impl Default for Fields {
    fn default() -> Self {
        Self { beta: 0.5, seed: 0 }
    }
}

impl TryFrom<Fields> for GradVac {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.beta, fields.seed)
    }
}

impl From<GradVac> for Fields {
    fn from(method: GradVac) -> Self {
        Self { beta: method.beta, seed: method.seed }
    }
}
