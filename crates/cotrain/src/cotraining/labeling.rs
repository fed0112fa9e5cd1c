//! Labeling the surest samples of a window: what co-training and self-training have in common.

use taskweave_kernels::Result;

use super::vote::check_probabilities;
use super::{Room, Turn};
use crate::pool::{Conflict, Quota};
use crate::selector::{Ballot, Selector};

/// How samples are chosen.
pub(super) struct Labeling<'a> {
    pub(super) selector: &'a mut dyn Selector,
    pub(super) quota: &'a Quota,
    pub(super) conflict: Conflict,
    /// Samples in the window.
    pub(super) window: usize,
}

impl Labeling<'_> {
    /// Fills the window, has the learners propose, and labels what remains after conflicts. A window of which nothing is
    /// chosen is drawn anew in the next round, and where it holds all there is, the method is over.
    pub(super) fn label(self, room: &mut Room<'_>) -> Result<Turn> {
        let quota = self.quota.of(room.pool)?;
        let window = room.pool.replenish(self.window, &room.rng).to_vec();
        let predictions = room.team.predict(room.views, &window)?;
        check_probabilities(&predictions)?;
        let ballot = Ballot { samples: &window, predictions: &predictions, quota: &quota, round: room.round };
        let proposals = self.conflict.resolve(self.selector.select(&ballot)?);
        if proposals.is_empty() {
            let all = window.len() == room.pool.unlabeled().len();
            room.pool.clear_window();
            return Ok(if all { Turn::Over } else { Turn::Learn });
        }
        room.pool.add(&proposals, room.round, None)?;
        Ok(Turn::Learn)
    }
}
