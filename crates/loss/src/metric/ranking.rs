//! Areas under the curves of a ranking, with ties handled exactly.

/// Negatives and positives that share one score, from the highest score down.
fn tied_groups(scored: &[(f64, bool)]) -> Vec<(f64, f64)> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let group = |tied: &[(f64, bool)]| {
        let positives = tied.iter().filter(|(_, positive)| *positive).count();
        ((tied.len() - positives) as f64, positives as f64)
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(group).collect()
}

/// The chance that a random positive ranks above a random negative, a tie counting half; ½ where one of the
/// classes is absent.
pub(super) fn roc_auc(scored: &[(f64, bool)]) -> f64 {
    let (mut above, mut negatives, mut area) = (0.0, 0.0, 0.0);
    for (negative, positive) in tied_groups(scored) {
        area += negative * (above + 0.5 * positive);
        above += positive;
        negatives += negative;
    }
    if above * negatives > 0.0 { area / (above * negatives) } else { 0.5 }
}

/// Σ (recall step · precision) over the thresholds; 0 where there is no positive.
pub(super) fn average_precision(scored: &[(f64, bool)]) -> f64 {
    let (mut hits, mut predicted, mut area) = (0.0, 0.0, 0.0);
    for (negative, positive) in tied_groups(scored) {
        hits += positive;
        predicted += positive + negative;
        area += positive * hits / predicted;
    }
    if hits > 0.0 { area / hits } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_counts_half() {
        let scored = [(0.9, true), (0.5, true), (0.5, false), (0.1, false)];
        assert_eq!(roc_auc(&scored), 3.5 / 4.0);
        // Recall ½ at precision 1, then ½ at precision 2/3.
        assert!((average_precision(&scored) - 5.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn an_absent_class_has_the_stated_value() {
        assert_eq!((roc_auc(&[(0.3, true)]), average_precision(&[(0.3, true)])), (0.5, 1.0));
        assert_eq!((roc_auc(&[(0.3, false)]), average_precision(&[(0.3, false)])), (0.5, 0.0));
    }

    #[test]
    fn zeros_of_both_signs_are_tied() {
        assert_eq!(roc_auc(&[(0.0, true), (-0.0, false)]), 0.5);
    }
}
