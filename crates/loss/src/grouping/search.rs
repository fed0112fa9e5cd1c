//! The grouping, and the choice of the search.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use super::{exact::exact, greedy::greedy};
use crate::Affinity;

/// Up to so many tasks the search is exact.
const EXACT: usize = 12;

/// Which tasks to train together, and by which group each is served.
///
/// # Example
/// `a` and `b` help each other, `c` harms both.
/// ```
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Affinity, Grouping};
/// let row = |a: f64, b: f64, c: f64| Named::new([("a", a), ("b", b), ("c", c)]);
/// let rows = [("a", row(0.2, 0.1, 0.0)?), ("b", row(0.3, 0.2, 0.0)?), ("c", row(-0.5, -0.4, 0.2)?)];
/// let grouping = Grouping::search(&Affinity::new(Named::new(rows)?)?, 2)?;
/// assert_eq!(grouping.groups[0].tasks, ["a", "b"]);
/// assert_eq!(grouping.groups[1].tasks, ["c"]);
/// assert!((grouping.score - 0.4).abs() < 1e-15);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    /// The groups; every task is served by exactly one.
    pub groups: Vec<Group>,
    /// The sum over tasks of what the group that serves it gives it.
    pub score: f64,
}

/// Tasks that are trained together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The tasks that are trained.
    pub tasks: Vec<String>,
    /// Those of them whose predictions are taken from this group; the others help.
    pub serves: Vec<String>,
}

impl Grouping {
    /// The best grouping into at most `budget` groups: the optimum for up to 12 tasks, beyond that one which no change of a
    /// single membership improves.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no group.
    pub fn search(affinity: &Affinity, budget: usize) -> Result<Self> {
        if budget == 0 {
            return Err(Error::parameter("budget of groups", "at least 1", 0));
        }
        let z = affinity.matrix();
        let sets = match z.len() <= EXACT {
            true => exact(&z, budget),
            false => greedy(&z, budget),
        };
        Ok(Self::of(affinity, &z, &sets))
    }

    /// Every task is served by the first of its best groups; a group that serves nobody is left out.
    fn of(affinity: &Affinity, z: &[Vec<f64>], sets: &[Vec<usize>]) -> Self {
        let tasks: Vec<String> = affinity.tasks().map(String::from).collect();
        let mut serves: Vec<Vec<String>> = vec![Vec::new(); sets.len()];
        let mut total = 0.0;
        for (j, task) in tasks.iter().enumerate() {
            let own = sets.iter().enumerate().filter(|(_, set)| set.contains(&j));
            let scores = own.map(|(g, set)| (g, score(z, j, set)));
            let best = scores.reduce(|best, next| if next.1 > best.1 { next } else { best });
            if let Some((g, score)) = best {
                serves[g].push(task.clone());
                total += score;
            }
        }
        let names = |set: &[usize]| set.iter().map(|&i| tasks[i].clone()).collect();
        let groups = sets.iter().zip(serves).filter(|(_, serves)| !serves.is_empty());
        Self {
            groups: groups.map(|(set, serves)| Group { tasks: names(set), serves }).collect(),
            score: total,
        }
    }
}

/// What the other members of a set give task j.
pub(super) fn score(z: &[Vec<f64>], j: usize, set: &[usize]) -> f64 {
    let others = set.iter().filter(|&&i| i != j);
    let (sum, count) = others.fold((0.0, 0.0), |(sum, count), &i| (sum + z[i][j], count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use taskweave_kernels::{Named, Rng};

    fn affinity(z: &[Vec<f64>]) -> Affinity {
        let name = |i: usize| format!("t{i}");
        let row =
            |values: &Vec<f64>| Named::new(values.iter().enumerate().map(|(j, z)| (name(j), *z))).unwrap();
        Affinity::new(Named::new(z.iter().enumerate().map(|(i, values)| (name(i), row(values)))).unwrap())
            .unwrap()
    }

    fn random(size: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
        (0..size).map(|_| (0..size).map(|_| rng.normal()).collect()).collect()
    }

    /// The best score over all lists of at most `budget` sets that cover all tasks.
    fn brute_force(z: &[Vec<f64>], budget: usize) -> f64 {
        let size = z.len();
        let sets: Vec<Vec<usize>> =
            (1..1usize << size).map(|mask| (0..size).filter(|i| mask >> i & 1 == 1).collect()).collect();
        let gains: Vec<Vec<f64>> = sets
            .iter()
            .map(|set| {
                (0..size)
                    .map(|j| if set.contains(&j) { score(z, j, set) } else { f64::NEG_INFINITY })
                    .collect()
            })
            .collect();
        fn go(gains: &[Vec<f64>], from: usize, left: usize, best: &[f64]) -> f64 {
            let here = best.iter().sum::<f64>();
            if left == 0 {
                return here;
            }
            (from..gains.len()).fold(here, |most, g| {
                let merged: Vec<f64> = best.iter().zip(&gains[g]).map(|(a, b)| a.max(*b)).collect();
                most.max(go(gains, g + 1, left - 1, &merged))
            })
        }
        go(&gains, 0, budget, &vec![f64::NEG_INFINITY; size])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_exact_search_finds_what_trying_everything_finds(seed in any::<u64>(), size in 1usize..6, budget in 1usize..4) {
            let z = random(size, &mut Rng::new(seed));
            let found = Grouping::search(&affinity(&z), budget).unwrap();
            let expected = brute_force(&z, budget);
            prop_assert!((found.score - expected).abs() < 1e-12, "{} instead of {}", found.score, expected);
            prop_assert!(found.groups.len() <= budget);
            let mut served: Vec<&String> = found.groups.iter().flat_map(|group| &group.serves).collect();
            served.sort();
            prop_assert_eq!(served.len(), size);
            served.dedup();
            prop_assert_eq!(served.len(), size);
            prop_assert!(found.groups.iter().all(|group| group.serves.iter().all(|task| group.tasks.contains(task))));
        }

        #[test]
        fn the_greedy_search_is_near_the_optimum_and_above_one_group_for_all(seed in any::<u64>(), budget in 1usize..4) {
            let z = random(6, &mut Rng::new(seed));
            let sets = greedy(&z, budget);
            let found = Grouping::of(&affinity(&z), &z, &sets).score;
            let all: Vec<usize> = (0..6).collect();
            let together: f64 = (0..6).map(|j| score(&z, j, &all)).sum();
            prop_assert!(found >= together - 1e-12);
            prop_assert!(found <= brute_force(&z, budget.min(3)) + 1e-12);
            prop_assert!(sets.len() <= budget);
        }
    }

    #[test]
    fn fifteen_tasks_in_three_planted_groups_are_found() {
        let mut rng = Rng::new(4);
        let z: Vec<Vec<f64>> = (0..15)
            .map(|i| {
                (0..15).map(|j| if i % 3 == j % 3 { 0.1 } else { -0.1 } + 0.02 * rng.uniform()).collect()
            })
            .collect();
        let found = Grouping::search(&affinity(&z), 3).unwrap();
        let mut groups: Vec<Vec<String>> = found.groups.iter().map(|group| group.tasks.clone()).collect();
        groups.sort();
        let planted = |from: usize| (from..15).step_by(3).map(|i| format!("t{i}")).collect::<Vec<_>>();
        assert_eq!(groups, [planted(0), planted(1), planted(2)]);
    }

    #[test]
    fn twelve_tasks_are_exact_and_a_helper_may_be_served_elsewhere() {
        let mut rng = Rng::new(9);
        let z = random(12, &mut rng);
        let exact = Grouping::search(&affinity(&z), 4).unwrap();
        let greedy = Grouping::of(&affinity(&z), &z, &greedy(&z, 4));
        assert!(exact.score >= greedy.score - 1e-12, "{} below {}", exact.score, greedy.score);
        assert!(exact.groups.iter().any(|group| group.tasks.len() > group.serves.len()));
    }

    #[test]
    fn one_task_stands_alone_and_no_budget_is_refused() {
        let one = affinity(&[vec![0.7]]);
        assert_eq!(Grouping::search(&one, 5).unwrap().score, 0.0);
        let error = Grouping::search(&one, 0).unwrap_err().to_string();
        assert_eq!(error, "budget of groups: expected at least 1, found 0");
    }
}
