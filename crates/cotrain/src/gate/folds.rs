//! Folds of labels.

/// Samples with their labels, dealt in turn class by class, so that every fold has its share of each.
pub(super) fn deal(mut labeled: Vec<(usize, f64)>, folds: usize) -> Vec<Vec<usize>> {
    labeled.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let mut dealt = vec![Vec::new(); folds];
    for (place, (sample, _)) in labeled.into_iter().enumerate() {
        dealt[place % folds].push(sample);
    }
    dealt
}
