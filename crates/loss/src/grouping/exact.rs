//! The best grouping by a dynamic program over subsets.
//!
//! Whatever the groups, the tasks that each of them serves are a partition of all tasks. So with
//!     v(S) = max over G ⊇ S of Σ_{j in S} s(j, G)
//! the optimum is the best partition into at most B blocks S by Σ v(S), and the G of a block is its group. Both steps visit
//! the 3^K pairs of a set and one of its subsets.

/// The groups of the optimum, at most `budget` of them; as few as reach it.
pub(super) fn exact(z: &[Vec<f64>], budget: usize) -> Vec<Vec<usize>> {
    let size = z.len();
    let blocks = best_groups(z);
    let full = (1usize << size) - 1;
    // best[b][u]: the largest Σ v over partitions of u into at most b blocks, and the block that holds its lowest task.
    let mut best = vec![vec![(f64::NEG_INFINITY, 0usize); full + 1]];
    best[0][0].0 = 0.0;
    for b in 1..=budget.min(size) {
        let mut row = best[b - 1].clone();
        for (set, place) in row.iter_mut().enumerate().skip(1) {
            let low = set & set.wrapping_neg();
            for rest in subsets(set ^ low) {
                let block = rest | low;
                let score = blocks[block].0 + best[b - 1][set ^ block].0;
                if score > place.0 {
                    *place = (score, block);
                }
            }
        }
        best.push(row);
    }
    let most = best[best.len() - 1][full].0;
    let mut b = best.iter().position(|row| row[full].0 == most).unwrap_or(best.len() - 1);
    let (mut groups, mut left) = (Vec::new(), full);
    while left != 0 && b > 0 {
        let block = best[b][left].1;
        groups.push((0..size).filter(|i| blocks[block].1 >> i & 1 == 1).collect());
        (left, b) = (left ^ block, b - 1);
    }
    groups
}

/// v(S) for every set S of tasks, with the group that reaches it.
fn best_groups(z: &[Vec<f64>]) -> Vec<(f64, usize)> {
    let size = z.len();
    let mut best = vec![(f64::NEG_INFINITY, 0); 1 << size];
    let mut sums = vec![0.0; 1 << size];
    for group in 1..1usize << size {
        let members: Vec<usize> = (0..size).filter(|i| group >> i & 1 == 1).collect();
        let gains: Vec<f64> = (0..size).map(|j| super::search::score(z, j, &members)).collect();
        for served in subsets(group).skip(1) {
            // The subset without its lowest task has been visited before.
            sums[served] = sums[served & (served - 1)] + gains[served.trailing_zeros() as usize];
            if sums[served] > best[served].0 {
                best[served] = (sums[served], group);
            }
        }
    }
    best
}

/// The subsets of a set of bits from the empty one up to itself.
fn subsets(set: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0usize), move |&sub| (sub != set).then(|| sub.wrapping_sub(set) & set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_come_in_rising_order() {
        assert_eq!(subsets(0b1010).collect::<Vec<_>>(), [0, 0b10, 0b1000, 0b1010]);
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn no_more_groups_than_help() {
        // Everybody helps everybody by the same amount: one group for all is as good as several.
        let z = vec![vec![0.5; 4]; 4];
        assert_eq!(exact(&z, 4), [[0, 1, 2, 3]]);
        let z = vec![vec![-0.5; 3]; 3];
        assert_eq!(exact(&z, 3), [[0], [1], [2]]);
    }
}
