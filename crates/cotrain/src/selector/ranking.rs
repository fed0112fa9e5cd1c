//! The surest samples of each class.

use crate::pool::Proposal;

/// A proposal and how doubtful it is: small is sure. The probability itself cannot rank what is nearly certain, since
/// it rounds to 1 there; what is left for the other classes does not round.
pub(super) struct Ranked {
    pub(super) proposal: Proposal,
    pub(super) class: usize,
    pub(super) doubt: f64,
}

/// What a row of probabilities leaves for the other classes.
pub(super) fn doubt(row: &[f64], class: usize) -> f64 {
    row.iter().enumerate().filter(|(other, _)| *other != class).map(|(_, p)| p).sum()
}

/// The surest of each class, as many as the quota says; of equally sure ones the first.
pub(super) fn surest(mut ranked: Vec<Ranked>, quota: &[usize]) -> Vec<Proposal> {
    ranked.sort_by(|a, b| a.doubt.total_cmp(&b.doubt));
    let mut left = quota.to_vec();
    let mut wanted = |class: usize| match left.get_mut(class) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    ranked.into_iter().filter(|r| wanted(r.class)).map(|r| r.proposal).collect()
}
