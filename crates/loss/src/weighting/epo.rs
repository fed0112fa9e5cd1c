//! EPO: to the Pareto optimum at which the losses, each times its preference, are equal.
//!
//! With preferences r, l̂ᵢ = rᵢLᵢ / Σ rⱼLⱼ and the distance μ = Σ l̂ᵢ log(m l̂ᵢ) from equality, let
//!     aᵢ = rᵢ (log(m l̂ᵢ) − μ),   C = G,
//! so that a step along Σ aᵢgᵢ lowers μ. Where μ > ε (balance), returns
//!     w = argmax αᵀC a   over   α ≥ 0, Σ α = 1, (C α)ⱼ ≥ bⱼ
//! with bⱼ = 0 for the largest rⱼLⱼ, nothing for other tasks with (C a)ⱼ > 0, and (C a)ⱼ for the rest: tasks that have less
//! than their share may rise. Without a task with (C a)ⱼ > 0, all bⱼ = 0. Where μ ≤ ε (descent), returns
//!     w = argmax Σⱼ (C α)ⱼ   over   α ≥ 0, Σ α = 1, C α ≥ 0, αᵀC a ≥ min(0, max (C a)ⱼ),
//! the last condition dropped where it leaves nothing. Linear programs, solved by the simplex method. Guarantees: the task
//! that has most never rises to first order; in descent no task does.
//! Variants: as the authors' code; there a general solver. Where gradients cancel (0 in their hull) and rounding leaves no
//! α that holds the conditions, α is that of MGDA, which does. A gradient of 0 takes no part and gets the weight 0.
//! Reference: Mahapatra and Rajan, "Multi-Task Learning with User Preferences: Gradient Descent with Controlled Ascent in
//! Pareto Optimization", ICML 2020, <https://proceedings.mlr.press/v119/mahapatra20a.html>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Named, Result};

use super::{
    Weighting,
    cone::Solved,
    linear, mgda,
    scaled::{Scaled, positive_losses, uniform},
    stateless::stateless,
};
use crate::{Gramian, parameter, scalarizer::PerTask};

/// The trade-off of a preference, by linear programs.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `preference` | required | > 0, one per task | r: at the end all rᵢLᵢ are equal |
/// | `epsilon` | 0.0001 | > 0 | the distance from equality at which descent begins |
///
/// # Errors
/// [`Error::Parameter`] where losses are missing or not > 0, [`Error::NotConverged`] where rounding keeps the solver from its
/// tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Epo, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[1.0, 0.0], [0.0, 1.0]])?.with_losses(vec![4.0, 1.0])?;
/// // For equal losses the larger one has to fall, and nothing else matters.
/// assert_eq!(Epo::new(vec![1.0, 1.0])?.weights(&gramian)?, [1.0, 0.0]);
/// // L₂ may be a quarter of L₁: there already.
/// let weights = Epo::new(vec![1.0, 4.0])?.weights(&gramian)?;
/// assert_eq!(weights.iter().sum::<f64>(), 1.0);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Epo {
    preference: PerTask,
    epsilon: f64,
}

impl Epo {
    /// The trade-off of these preferences.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a preference that is not a finite number > 0.
    pub fn new(preference: impl Into<PerTask>) -> Result<Self> {
        Self::try_from(Fields { preference: preference.into(), epsilon: Fields::epsilon() })
    }

    /// The preferred losses rᵢLᵢ, the adjustments a and the distance μ.
    fn adjustments(&self, gramian: &Gramian) -> Result<(Vec<f64>, Vec<f64>, f64)> {
        let losses = positive_losses("epo", gramian)?;
        let tasks = Named::new(gramian.tasks().map(|task| (task, ())))?;
        let r: Vec<f64> = self.preference.of("preference", &tasks)?.values().copied().collect();
        let preferred: Vec<f64> = r.iter().zip(losses).map(|(r, loss)| r * loss).collect();
        let sum: f64 = preferred.iter().sum();
        let logs: Vec<f64> = preferred.iter().map(|l| (l / sum * r.len() as f64).ln()).collect();
        let distance = preferred.iter().zip(&logs).map(|(l, log)| l / sum * log).sum::<f64>();
        let adjustments = r.iter().zip(&logs).map(|(r, log)| r * (log - distance)).collect();
        Ok((preferred, adjustments, distance))
    }
}

impl Weighting for Epo {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let (preferred, adjustments, distance) = self.adjustments(gramian)?;
        if scaled.len() == 0 {
            return Ok(uniform(size));
        }
        let program = Program::new(&scaled, &adjustments);
        let x = match distance > self.epsilon {
            true => {
                let most = preferred.iter().fold(0.0, |most: f64, loss| most.max(*loss));
                program.balance(&scaled.rows.iter().map(|row| preferred[*row] == most).collect::<Vec<_>>())?
            }
            false => program.descent()?,
        };
        Ok(scaled.weights(&x, size, 0.0))
    }

    fn prefer(&mut self, preference: &Named<f64>) -> Result<()> {
        *self = Self::try_from(Fields { preference: preference.clone().into(), epsilon: self.epsilon })?;
        Ok(())
    }
}

/// The linear programs, in unknowns yᵢ = αᵢ‖gᵢ‖ over the smallest norm.
struct Program<'a> {
    cosines: &'a [Vec<f64>],
    /// What the yᵢ weigh in Σ α.
    pull: Vec<f64>,
    /// (C a)ⱼ over ‖gⱼ‖ and the smallest norm: the bound on Σᵢ cos θⱼᵢ yᵢ.
    turn: Vec<f64>,
    least: f64,
}

impl<'a> Program<'a> {
    fn new(scaled: &'a Scaled, adjustments: &[f64]) -> Self {
        let least = scaled.norms.iter().fold(f64::INFINITY, |least, norm| least.min(*norm));
        let on_units: Vec<f64> = (scaled.rows.iter().zip(&scaled.norms))
            .map(|(row, norm)| adjustments[*row] * (norm / least))
            .collect();
        Self { cosines: &scaled.cosines, pull: scaled.pull(), turn: scaled.times(&on_units), least }
    }

    /// `ahead` says which tasks have the largest preferred loss.
    fn balance(&self, ahead: &[bool]) -> Result<Vec<f64>> {
        let rising = self.turn.iter().any(|turn| *turn > 0.0);
        // No Σᵢ cos θⱼᵢ yᵢ is below that.
        let lowest = -1.0 / self.pull.iter().fold(f64::INFINITY, |least, pull| least.min(*pull));
        let bound = |j: usize| match (rising, ahead[j]) {
            (true, false) if self.turn[j] > 0.0 || self.turn[j] < lowest => None,
            (true, false) => Some((self.cosines[j].clone(), self.turn[j])),
            _ => Some((self.cosines[j].clone(), 0.0)),
        };
        let (rows, b): (Vec<_>, Vec<f64>) = (0..ahead.len()).filter_map(bound).unzip();
        self.solved(linear::maximum("epo", &self.objective(), (&rows, &b), &self.pull)?)
    }

    fn descent(&self) -> Result<Vec<f64>> {
        let weakest = self.pull.iter().fold(f64::INFINITY, |least, pull| least.min(*pull));
        // Σⱼ (C α)ⱼ in the largest norm.
        let gain: Vec<f64> = (self.cosines.iter())
            .map(|row| row.iter().zip(&self.pull).map(|(cosine, pull)| cosine * weakest / pull).sum())
            .collect();
        let size = self.pull.len();
        let mut rows = self.cosines.to_vec();
        rows.push(self.objective());
        let highest = self.turn.iter().zip(&self.pull).map(|(turn, pull)| turn / pull);
        let mut b = vec![0.0; size];
        b.push(highest.fold(f64::NEG_INFINITY, f64::max).min(0.0) / self.scale());
        let restricted = linear::maximum("epo", &gain, (&rows, &b), &self.pull)?;
        match restricted {
            None => self.solved(linear::maximum("epo", &gain, (self.cosines, &b[..size]), &self.pull)?),
            found => self.solved(found),
        }
    }

    /// αᵀC a per unit of each unknown, the largest brought to 1.
    fn objective(&self) -> Vec<f64> {
        let scale = self.scale();
        self.turn.iter().map(|turn| turn / scale).collect()
    }

    fn scale(&self) -> f64 {
        self.turn.iter().fold(f64::MIN_POSITIVE, |most, turn| most.max(turn.abs()))
    }

    fn solved(&self, found: Option<Solved>) -> Result<Vec<f64>> {
        let y = match found {
            Some(found) => found.x,
            // Where gradients cancel, rounding may leave nothing; the shortest vector of the hull holds all conditions.
            None => {
                let norms: Vec<f64> = self.pull.iter().map(|pull| 1.0 / pull).collect();
                let alpha = mgda::shortest("epo", self.cosines, &norms)?.x;
                alpha.iter().zip(&self.pull).map(|(alpha, pull)| alpha / pull).collect()
            }
        };
        Ok(y.into_iter().map(|y| y * self.least).collect())
    }
}

stateless!(Epo);

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    preference: PerTask,
    #[serde(default = "Fields::epsilon")]
    epsilon: f64,
}

impl Fields {
    fn epsilon() -> f64 {
        1e-4
    }
}

impl TryFrom<Fields> for Epo {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Ok(Self {
            preference: fields.preference.checked("preference", parameter::positive)?,
            epsilon: parameter::positive("epsilon", fields.epsilon)?,
        })
    }
}

impl From<Epo> for Fields {
    fn from(method: Epo) -> Self {
        Self { preference: method.preference, epsilon: method.epsilon }
    }
}
