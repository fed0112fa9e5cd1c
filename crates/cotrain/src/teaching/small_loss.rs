//! Selectors of samples by their losses and by disagreement, on plain numbers.
//!
//! Networks learn clean labels before wrong ones, so that samples of small loss are more likely clean. At step t the
//! share of samples that are kept is
//!     R(t) = 1 − τ·min(t/T, 1).
//! Reference: Han et al., "Co-teaching", NeurIPS 2018, <https://arxiv.org/abs/1804.06872>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::range;

/// How many samples are kept: fewer and fewer, down to the share that is taken to be clean.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `forget` | – | [0, 1) | τ, the share dropped in the end: the noise rate |
/// | `steps` | – | ≥ 1 | T, steps until then; the paper takes 10 epochs |
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::SmallLoss;
/// let rule = SmallLoss { forget: 0.4, steps: 10 };
/// assert_eq!([rule.keep(0, 20), rule.keep(5, 20), rule.keep(99, 20)], [20, 16, 12]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallLoss {
    /// τ, the share dropped in the end.
    pub forget: f64,
    /// T, steps until then.
    pub steps: u64,
}

impl SmallLoss {
    /// How many of `n` samples are kept at a step, counted from 0; at least one of any.
    pub fn keep(&self, step: u64, n: usize) -> usize {
        let progress = (step as f64 / self.steps.max(1) as f64).min(1.0);
        let keep = ((1.0 - self.forget * progress) * n as f64).round() as usize;
        keep.clamp(n.min(1), n)
    }

    pub(super) fn check(&self) -> Result<()> {
        range::below_one("forget", self.forget)?;
        match self.steps {
            0 => Err(Error::parameter("steps until all is forgotten", "at least 1", 0)),
            _ => Ok(()),
        }
    }
}

/// The `keep` candidates of smallest loss, in ascending order of index; of equal losses the first.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::smallest;
/// assert_eq!(smallest(&[0.5, 0.1, 0.9, 0.1], &[0, 2, 3], 2), [0, 3]);
/// ```
pub fn smallest(losses: &[f64], candidates: &[usize], keep: usize) -> Vec<usize> {
    let mut order: Vec<usize> = candidates.iter().copied().filter(|at| *at < losses.len()).collect();
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]).then(a.cmp(b)));
    order.truncate(keep);
    order.sort_unstable();
    order
}

/// The candidates about which two networks disagree.
///
/// # Example
/// ```
/// use taskweave_cotrain::teaching::disagreement;
/// assert_eq!(disagreement([&[0, 1, 2], &[0, 2, 1]], &[0, 1]), [1]);
/// ```
pub fn disagreement([a, b]: [&[u32]; 2], candidates: &[usize]) -> Vec<usize> {
    candidates.iter().copied().filter(|at| a.get(*at) != b.get(*at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_sample_is_kept_of_any_and_never_more_than_there_are() {
        let rule = SmallLoss { forget: 0.9, steps: 1 };
        assert_eq!([rule.keep(0, 3), rule.keep(9, 3), rule.keep(9, 0)], [3, 1, 0]);
        assert_eq!(SmallLoss { forget: 0.0, steps: 1 }.keep(9, 7), 7);
    }

    #[test]
    fn bad_parameters_are_refused() {
        for bad in [SmallLoss { forget: 1.0, steps: 1 }, SmallLoss { forget: f64::NAN, steps: 1 }] {
            assert!(bad.check().is_err());
        }
        assert!(SmallLoss { forget: 0.5, steps: 0 }.check().is_err());
    }
}
