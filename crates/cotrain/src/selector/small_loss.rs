//! The samples of smallest loss.
//!
//! Networks learn clean labels before wrong ones, so that samples of small loss are more likely clean. At step t the
//! share of samples that are kept is
//!     R(t) = 1 − τ·min(t/T, 1).
//! As a selector of unlabeled samples it takes the round as the step, and the loss of a sample is that of all learners at the
//! class that they find likeliest together, min_c Σᵢ −ln pᵢ(c); the R(t)·n samples of smallest loss are proposed by all of them.
//! The quota plays no part.
//! Reference: Han et al., "Co-teaching", NeurIPS 2018, <https://arxiv.org/abs/1804.06872>; the joint
//! loss is after Wei et al., "Combating Noisy Labels by Agreement", CVPR 2020, <https://arxiv.org/abs/2003.02752>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{Ballot, Selector};
use crate::learner::likeliest;
use crate::pool::Proposal;
use crate::range;
use crate::stateless::stateless;

/// How many samples are kept: fewer and fewer, down to the share that is taken to be clean.
///
/// | name | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `forget` | – | [0, 1) | τ, the share dropped in the end: the noise rate |
/// | `steps` | – | ≥ 1 | T, steps until then; the paper takes 10 epochs |
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::SmallLoss;
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
}

impl Selector for SmallLoss {
    fn check(&self) -> Result<()> {
        range::below_one("forget", self.forget)?;
        match self.steps {
            0 => Err(Error::parameter("steps until all is forgotten", "at least 1", 0)),
            _ => Ok(()),
        }
    }

    fn select(&mut self, ballot: &Ballot<'_>) -> Result<Vec<Proposal>> {
        self.check()?;
        let classes = classes(ballot)?;
        let by: Vec<String> = ballot.predictions.names().map(String::from).collect();
        let (mut proposals, mut losses) = (Vec::new(), Vec::new());
        for (place, &sample) in ballot.samples.iter().enumerate() {
            let rows = ballot.predictions.values().map(|said| said.row(place)).collect::<Result<Vec<_>>>()?;
            let log = |class: usize| rows.iter().map(|row| row[class].max(f64::MIN_POSITIVE).ln()).sum();
            let logs: Vec<f64> = (0..classes).map(log).collect();
            let class = likeliest(&logs);
            let confidence = rows.iter().map(|row| row[class]).fold(1.0, f64::min);
            proposals.push(Proposal { sample, label: class as f64, confidence, by: by.clone() });
            losses.push(-logs[class]);
        }
        let all: Vec<usize> = (0..losses.len()).collect();
        let chosen = smallest(&losses, &all, self.keep(ballot.round, losses.len()));
        Ok(chosen.into_iter().map(|place| proposals[place].clone()).collect())
    }
}

/// How many classes all learners tell apart.
fn classes(ballot: &Ballot<'_>) -> Result<usize> {
    let Some((_, first)) = ballot.predictions.iter().next().filter(|(_, first)| first.columns() > 0) else {
        return Err(Error::parameter("learners that predict classes", "at least one", 0));
    };
    let classes = first.columns();
    match ballot.predictions.iter().find(|(_, said)| said.columns() != classes) {
        Some((learner, said)) => Err(Error::shape(
            format!("predictions of `{learner}`"),
            format!("[samples, {classes}]"),
            &[said.rows(), said.columns()],
        )),
        None => Ok(classes),
    }
}

stateless!(SmallLoss);

/// The `keep` candidates of smallest loss, in ascending order of index; of equal losses the first.
///
/// # Example
/// ```
/// use taskweave_cotrain::selector::smallest;
/// assert_eq!(smallest(&[0.5, 0.1, 0.9, 0.1], &[0, 2, 3], 2), [0, 3]);
/// ```
pub fn smallest(losses: &[f64], candidates: &[usize], keep: usize) -> Vec<usize> {
    let mut order: Vec<usize> = candidates.iter().copied().filter(|at| *at < losses.len()).collect();
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]).then(a.cmp(b)));
    order.truncate(keep);
    order.sort_unstable();
    order
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
    fn samples_of_small_joint_loss_are_proposed_with_their_joint_class() {
        let view =
            |rows: [[f64; 2]; 3]| crate::learner::Matrix::of_rows(&rows.map(|row| row.to_vec())).unwrap();
        let left = view([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]);
        let right = view([[0.8, 0.2], [0.1, 0.9], [0.4, 0.6]]);
        let predictions = taskweave_kernels::Named::new([("left", left), ("right", right)]).unwrap();
        let ballot = |round| Ballot { samples: &[7, 8, 9], predictions: &predictions, quota: &[0, 0], round };
        let mut rule = SmallLoss { forget: 0.6, steps: 2 };
        // Losses −ln 0.72, −ln 0.36 of class 1, −ln 0.48; R(1) = 0.7 of three are two.
        let chosen: Vec<_> =
            rule.select(&ballot(1)).unwrap().iter().map(|p| (p.sample, p.label, p.confidence)).collect();
        assert_eq!(chosen, [(7, 0.0, 0.8), (9, 1.0, 0.6)]);
        assert_eq!(rule.select(&ballot(0)).unwrap()[1].label, 1.0);
        assert_eq!(rule.select(&ballot(9)).unwrap().len(), 1);
        rule.forget = 1.0;
        assert!(matches!(rule.select(&ballot(1)), Err(Error::Parameter { .. })));
    }

    #[test]
    fn learners_that_tell_other_classes_apart_are_refused() {
        let view = |columns| crate::learner::Matrix::new(1, columns, vec![0.5; columns]).unwrap();
        let mut rule = SmallLoss { forget: 0.0, steps: 1 };
        let mut select = |predictions: taskweave_kernels::Named<_>| {
            rule.select(&Ballot { samples: &[7], predictions: &predictions, quota: &[], round: 1 })
        };
        assert!(matches!(select(taskweave_kernels::Named::default()), Err(Error::Parameter { .. })));
        let two = taskweave_kernels::Named::new([("left", view(3)), ("right", view(2))]).unwrap();
        let error = select(two).unwrap_err().to_string();
        assert!(error.contains("`right`"), "{error}");
    }

    #[test]
    fn bad_parameters_are_refused() {
        for bad in [SmallLoss { forget: 1.0, steps: 1 }, SmallLoss { forget: f64::NAN, steps: 1 }] {
            assert!(bad.check().is_err());
        }
        assert!(SmallLoss { forget: 0.5, steps: 0 }.check().is_err());
    }
}
