//! A good grouping of many tasks: groups one by one, each climbed from its best start, then all together.
//!
//! The first group holds all tasks, so that all are covered. A further group starts at each single task in turn and grows
//! and shrinks by one membership at a time while the total rises; the best of these is taken if it helps. After every group
//! all memberships are climbed again. One flip is judged in O(K) from sums that are kept per group.

/// What counts as a rise: below it two sums in another order may differ.
const RISE: f64 = 1e-12;

/// Groups of tasks, at most `budget` of them.
pub(super) fn greedy(z: &[Vec<f64>], budget: usize) -> Vec<Vec<usize>> {
    let z = &without_diagonal(z);
    let size = z.len();
    let mut groups = vec![Members::of(z, vec![true; size])];
    climb_all(z, &mut groups);
    while groups.len() < budget {
        let Some(group) = best_new(z, &groups) else { break };
        groups.push(group);
        climb_all(z, &mut groups);
    }
    groups.iter().map(|group| (0..size).filter(|&i| group.is_in[i]).collect()).collect()
}

/// What a task does to itself counts for nothing.
fn without_diagonal(z: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |(i, row): (usize, &Vec<f64>)| {
        row.iter().enumerate().map(|(j, z)| if i == j { 0.0 } else { *z }).collect()
    };
    z.iter().enumerate().map(row).collect()
}

/// The best further group, if one helps.
fn best_new(z: &[Vec<f64>], groups: &[Members]) -> Option<Members> {
    let before = best_of(groups.iter(), z.len());
    let mut most = before.iter().sum::<f64>() + RISE;
    let mut found = None;
    for seed in 0..z.len() {
        let mut group = Members::of(z, (0..z.len()).map(|i| i == seed).collect());
        let reached = group.climb(z, &before);
        if reached > most {
            (most, found) = (reached, Some(group));
        }
    }
    found
}

/// Climbs every group, the others held, until none of them rises.
fn climb_all(z: &[Vec<f64>], groups: &mut [Members]) {
    let mut total = f64::NEG_INFINITY;
    loop {
        let mut reached = total;
        for g in 0..groups.len() {
            let (before, rest) = groups.split_at_mut(g);
            if let Some((group, after)) = rest.split_first_mut() {
                reached = group.climb(z, &best_of(before.iter().chain(after.iter()), z.len()));
            }
        }
        if reached <= total + RISE {
            return;
        }
        total = reached;
    }
}

/// What the best of these groups gives every task.
fn best_of<'a>(groups: impl Iterator<Item = &'a Members>, size: usize) -> Vec<f64> {
    groups.fold(vec![f64::NEG_INFINITY; size], |best, group| {
        best.iter().enumerate().map(|(j, best)| best.max(group.score(j))).collect()
    })
}

/// A group with Σ over its members i of Z_ij, for every task j; the diagonal of Z is 0.
struct Members {
    is_in: Vec<bool>,
    count: usize,
    sums: Vec<f64>,
}

impl Members {
    fn of(z: &[Vec<f64>], is_in: Vec<bool>) -> Self {
        let members: Vec<usize> = (0..z.len()).filter(|&i| is_in[i]).collect();
        let sums = (0..z.len()).map(|j| members.iter().map(|&i| z[i][j]).sum()).collect();
        Self { is_in, count: members.len(), sums }
    }

    /// What the group gives task j; minus infinity where it is no member.
    fn score(&self, j: usize) -> f64 {
        let others = self.count.saturating_sub(1).max(1) as f64;
        if self.is_in[j] { self.sums[j] / others } else { f64::NEG_INFINITY }
    }

    /// Flips memberships as long as one of them raises the total beside `others`, which is returned. A task that would be
    /// covered by nobody makes the total minus infinity, so that it stays.
    fn climb(&mut self, z: &[Vec<f64>], others: &[f64]) -> f64 {
        let mut total = self.total(others);
        loop {
            let before = total;
            for task in 0..z.len() {
                let sums = self.sums.clone();
                self.flip(z, task);
                let next = self.total(others);
                if next > total + RISE {
                    total = next;
                } else {
                    self.flip(z, task);
                    self.sums = sums;
                }
            }
            if total <= before {
                return total;
            }
        }
    }

    fn total(&self, others: &[f64]) -> f64 {
        others.iter().enumerate().map(|(j, other)| other.max(self.score(j))).sum()
    }

    fn flip(&mut self, z: &[Vec<f64>], task: usize) {
        let sign = if self.is_in[task] { -1.0 } else { 1.0 };
        self.is_in[task] = !self.is_in[task];
        self.count = if sign > 0.0 { self.count + 1 } else { self.count - 1 };
        self.sums.iter_mut().zip(&z[task]).for_each(|(sum, z)| *sum += sign * z);
    }
}
