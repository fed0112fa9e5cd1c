//! Krum: only the gradients that lie closest to the others count.
//!
//! Task i's score is the sum of its squared distances ‖gᵢ − gⱼ‖² to the m − f − 2 nearest other gradients; the
//! `n_selected` lowest scores share the weight equally, the others get 0. Cost: m² log m. Guarantees: up to f gradients
//! that are anything at all do not decide the update. The small scores of similar tasks win, so that a task that is
//! unlike all others never learns: it is a defense, not a balance.
//! Variants: with `n_selected` > 1 it is multi-Krum. Of equal scores the first task wins.
//! Reference: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017,
//! <https://arxiv.org/abs/1703.02757>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{Weighting, stateless::stateless};
use crate::Gramian;

/// The gradients closest to the others.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `n_byzantine` | 1 | ≤ m − 3 | how many gradients may be anything |
/// | `n_selected` | 1 | 1 to m | how many gradients count |
///
/// # Errors
/// [`Error::Parameter`] for fewer tasks than `n_byzantine` + 3 or `n_selected`.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::{Krum, Weighting}};
/// // The numbers 1, 2, 4, 7 and 100: the squared distances of 2 to its two nearest, 1 + 4, are the smallest.
/// let numbers = [1.0, 2.0, 4.0, 7.0, 100.0];
/// let gramian = Gramian::new(["a", "b", "c", "d", "e"], &numbers.map(|x| numbers.map(|y| x * y)))?;
/// assert_eq!(Krum::new(1, 1)?.weights(&gramian)?, [0.0, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Krum {
    n_byzantine: usize,
    n_selected: usize,
}

impl Krum {
    /// Up to `n_byzantine` gradients may be anything; `n_selected` count.
    ///
    /// # Errors
    /// [`Error::Parameter`] where none is selected.
    pub fn new(n_byzantine: usize, n_selected: usize) -> Result<Self> {
        if n_selected == 0 {
            return Err(Error::parameter("n_selected", "at least 1", 0));
        }
        Ok(Self { n_byzantine, n_selected })
    }
}

impl Weighting for Krum {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let size = gramian.len();
        let least = self.n_byzantine.saturating_add(3).max(self.n_selected);
        if size < least {
            return Err(Error::parameter("tasks for krum", format!("at least {least}"), size));
        }
        let score = |i: usize| {
            let between = |j: usize| gramian[(i, i)] + gramian[(j, j)] - 2.0 * gramian[(i, j)];
            let mut distances: Vec<f64> = (0..size).filter(|j| *j != i).map(between).collect();
            distances.sort_by(f64::total_cmp);
            distances[..size - self.n_byzantine - 2].iter().sum::<f64>()
        };
        let scores: Vec<f64> = (0..size).map(score).collect();
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut weights = vec![0.0; size];
        order[..self.n_selected].iter().for_each(|i| weights[*i] = 1.0 / self.n_selected as f64);
        Ok(weights)
    }
}

stateless!(Krum);

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    n_byzantine: usize,
    n_selected: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { n_byzantine: 1, n_selected: 1 }
    }
}

impl TryFrom<Fields> for Krum {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.n_byzantine, fields.n_selected)
    }
}

impl From<Krum> for Fields {
    fn from(krum: Krum) -> Self {
        Self { n_byzantine: krum.n_byzantine, n_selected: krum.n_selected }
    }
}
