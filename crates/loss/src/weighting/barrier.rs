//! Barrier: the shortest update that serves the tasks and lets one more function fall at a given speed.
//!
//! Given the Gramian of the gradients g₁ … gₘ of the tasks and of the gradient q of a function that has to fall, returns
//! the weights λ (m) and ν of the update d = Σ λᵢgᵢ + ν q that solves
//!     minimize  maxᵢ −gᵢ·d + ½‖d‖²   over d   with   q·d ≥ φ,   φ = speed · ‖q‖².
//! Its dual, in which all is computed, is
//!     minimize  ½‖Σ λᵢgᵢ + ν q‖² − ν φ   over   λ ≥ 0, Σ λ = 1, ν ≥ 0,
//! so that ν = max(speed − q·Σλᵢgᵢ / ‖q‖², 0). The constraint Σ λ = 1 is priced, with a penalty that keeps the rest of it
//! well posed (an augmented Lagrangian). Each price leads to a least squares problem with non-negative unknowns, solved
//! exactly; Σ λ grows with the price, piece by piece linearly, so that the price is found within a bracket by the false
//! position. Where q = 0 this is MGDA. The problem is solved in units of the shortest gradient of a task, and where rounding
//! then leaves no solution, in units of the longest.
//! Guarantees: q·d ≥ φ; gᵢ·d ≥ ‖d‖² − νφ for every task, with equality where λᵢ > 0. The conditions hold
//! to 1e-9 of their terms in general, and to 1e-5 where gradients are zero, equal or opposite, also where those differ in
//! length by 10⁶.
//! Reference: Gong, Liu and Liu, "Automatic and Harmless Regularization with Constrained and Lexicographic Optimization: A
//! Dynamic Barrier Approach", NeurIPS 2021; Ye et al. (FORUM), ECAI 2024, <https://arxiv.org/abs/2401.09257>.

use taskweave_kernels::{Error, Result};

use super::cone;
use crate::{Gramian, parameter};

/// How close Σ λ has to come to 1.
const EXACT: f64 = 1e-13;

/// How far rounding may leave Σ λ from 1; what is left is rescaled away.
const TOLERANCE: f64 = 1e-7;

const ROUNDS: usize = 200;

/// What is added to the diagonal of the cosines, so that gradients that depend on each other are no matter. It is what the
/// conditions of the minimum are violated by, relative to their terms.
const RIDGE: f64 = 2e-12;

/// The weights of the tasks and that of the last row, which is the gradient of the function that has to fall.
///
/// `speed` is how fast it has to fall along the update, relative to the square of its gradient; finite and ≥ 0.
///
/// # Errors
/// [`Error::Parameter`] for a Gramian of less than two rows or a `speed` out of range, [`Error::NotConverged`] where
/// rounding keeps the solver from its tolerance.
///
/// # Example
/// ```
/// use taskweave_loss::{Gramian, weighting::barrier_weights};
/// // g = (1, 0), q = (0, 2): d = g + ½ q, as q·d = 2 has to be half of ‖q‖² = 4.
/// let gramian = Gramian::new(["task", "gap"], &[[1.0, 0.0], [0.0, 4.0]])?;
/// let (tasks, gap) = barrier_weights(&gramian, 0.5)?;
/// assert!((tasks[0] - 1.0).abs() < 1e-10 && (gap - 0.5).abs() < 1e-10);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
pub fn barrier_weights(gramian: &Gramian, speed: f64) -> Result<(Vec<f64>, f64)> {
    parameter::non_negative("speed of the barrier", speed)?;
    let Some(tasks) = gramian.len().checked_sub(1).filter(|tasks| *tasks > 0) else {
        return Err(Error::parameter("rows of a Gramian with a barrier", "at least 2", gramian.len()));
    };
    let norms = gramian.norms();
    let positive = |norms: &[f64], pick: fn(f64, f64) -> f64| {
        norms.iter().copied().filter(|norm| *norm > 0.0).reduce(pick)
    };
    let unit = |pick| positive(&norms[..tasks], pick).or(positive(&norms[tasks..], pick)).unwrap_or(1.0);
    let solve = |unit| Scaled::of(gramian, tasks, (speed, unit)).solve();
    match solve(unit(f64::min)) {
        Err(Error::NotConverged { .. }) => solve(unit(f64::max)),
        other => other,
    }
}

/// The problem in units of a length: unknowns xᵢ = λᵢ‖gᵢ‖ / unit and, last, ν‖q‖ / unit.
struct Scaled {
    cosines: Vec<Vec<f64>>,
    /// unit / ‖gᵢ‖, and last 0: Σ λ = 1 is pull·x = 1.
    pull: Vec<f64>,
    /// What the last unknown gains; absent where q = 0.
    gain: Option<f64>,
    /// unit / ‖q‖.
    last: f64,
}

impl Scaled {
    fn of(gramian: &Gramian, tasks: usize, (speed, unit): (f64, f64)) -> Self {
        let norms = gramian.norms();
        let (of_tasks, of_last) = norms.split_at(tasks);
        let last = of_last.iter().copied().find(|norm| *norm > 0.0);
        // A gradient of 0 has no length of its own.
        let length = |norm: &f64| if *norm > 0.0 { *norm } else { unit };
        let units: Vec<f64> = of_tasks.iter().map(length).chain(last).collect();
        let pull = |(i, length): (usize, &f64)| if i < tasks { unit / length } else { 0.0 };
        let entry = |i: usize, j: usize| gramian[(i, j)] / units[i] / units[j];
        Self {
            cosines: (0..units.len()).map(|i| (0..units.len()).map(|j| entry(i, j)).collect()).collect(),
            pull: units.iter().enumerate().map(pull).collect(),
            gain: last.map(|norm| speed * norm / unit),
            last: last.map_or(0.0, |norm| unit / norm),
        }
    }

    fn solve(&self) -> Result<(Vec<f64>, f64)> {
        let entry = |i: usize, j: usize| {
            let ridge = if i == j { RIDGE } else { 0.0 };
            self.cosines[i][j] + self.pull[i] * self.pull[j] + ridge
        };
        // The unknowns once more in units of their own, such that the diagonal is 1: a short gradient has a large pull.
        let size = self.pull.len();
        let roots: Vec<f64> = (0..size).map(|i| entry(i, i).sqrt()).collect();
        let row = |i: usize| (0..size).map(|j| entry(i, j) / roots[i] / roots[j]).collect();
        let h: Vec<Vec<f64>> = (0..size).map(row).collect();
        let at = |price: f64| {
            let mut f: Vec<f64> = self.pull.iter().map(|pull| (price + 1.0) * pull).collect();
            if let (Some(gain), Some(last)) = (self.gain, f.last_mut()) {
                *last = gain;
            }
            f.iter_mut().zip(&roots).for_each(|(f, root)| *f /= root);
            let solved = cone::minimum("barrier", &h, &f)?.x;
            let x: Vec<f64> = solved.iter().zip(&roots).map(|(x, root)| x / root).collect();
            let gap = 1.0 - self.pull.iter().zip(&x).map(|(pull, x)| pull * x).sum::<f64>();
            Ok(Trial { price, x, gap })
        };
        let Trial { x, gap, .. } = root(at)?;
        match gap.abs() <= TOLERANCE {
            true => Ok(self.weights(&x, 1.0 - gap)),
            false => {
                Err(Error::NotConverged { method: "barrier".into(), iterations: ROUNDS, residual: gap.abs() })
            }
        }
    }

    fn weights(&self, x: &[f64], sum: f64) -> (Vec<f64>, f64) {
        let tasks = self.pull.len() - usize::from(self.gain.is_some());
        let of_tasks = x.iter().zip(&self.pull).take(tasks).map(|(x, pull)| x * pull / sum);
        (of_tasks.collect(), x.iter().skip(tasks).map(|x| x * self.last).sum())
    }
}

/// What a price leads to.
struct Trial {
    price: f64,
    x: Vec<f64>,
    /// 1 − Σ λ, which falls as the price rises.
    gap: f64,
}

/// The trial where the gap is 0: away from price 0 in growing strides until the gap changes its sign, then by the false
/// position, where the value at an end that stays is halved (Illinois).
fn root(at: impl Fn(f64) -> Result<Trial>) -> Result<Trial> {
    let mut here = at(0.0)?;
    let mut step = here.gap;
    let mut there = at(step)?;
    for _ in 0..ROUNDS {
        if here.gap * there.gap <= 0.0 {
            break;
        }
        step *= 4.0;
        let next = at(there.price + step)?;
        here = std::mem::replace(&mut there, next);
    }
    // Far from the root the gap is 1 on one side and may be huge on the other: bounded, the search begins by halving.
    let mut value = here.gap.clamp(-1.0, 1.0);
    for _ in 0..ROUNDS {
        let other = there.gap.clamp(-1.0, 1.0);
        let price = (here.price * other - there.price * value) / (other - value);
        let settled = here.gap.abs().min(there.gap.abs()) <= EXACT || !price.is_finite();
        if settled || price == here.price || price == there.price {
            break;
        }
        let next = at(price)?;
        if next.gap * there.gap < 0.0 {
            (value, here) = (other, there);
        } else {
            value *= 0.5;
        }
        there = next;
    }
    Ok(if here.gap.abs() < there.gap.abs() { here } else { there })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use taskweave_kernels::Rng;

    use super::*;

    fn gramian(rows: &[Vec<f64>]) -> Gramian {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let products: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap()
    }

    #[test]
    fn without_a_barrier_it_is_the_shortest_vector_of_the_hull() {
        // g₁ = (−4, 1, 1), g₂ = (6, 1, 1), q = 0
        let rows = [vec![-4.0, 1.0, 1.0], vec![6.0, 1.0, 1.0], vec![0.0; 3]];
        let (weights, last) = barrier_weights(&gramian(&rows), 0.1).unwrap();
        assert!((weights[0] - 0.6).abs() < 1e-10 && (weights[1] - 0.4).abs() < 1e-10 && last == 0.0);
    }

    #[test]
    fn a_barrier_that_falls_by_itself_costs_nothing() {
        let (_, last) = barrier_weights(&gramian(&[vec![1.0, 0.0], vec![1.0, 0.0]]), 0.5).unwrap();
        assert!(last.abs() < 1e-12);
        // q = −g: half of ‖q‖² against the task takes ν = 1.5.
        let (_, last) = barrier_weights(&gramian(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), 0.5).unwrap();
        assert!((last - 1.5).abs() < 1e-10);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(matches!(barrier_weights(&gramian(&[vec![1.0]]), 0.1), Err(Error::Parameter { .. })));
        assert!(matches!(
            barrier_weights(&gramian(&[vec![1.0], vec![1.0]]), -0.1),
            Err(Error::Parameter { .. })
        ));
        assert!(matches!(
            barrier_weights(&gramian(&[vec![1.0], vec![1.0]]), f64::NAN),
            Err(Error::Parameter { .. })
        ));
    }

    /// What is left of the conditions of the minimum, relative to their terms.
    fn residual(rows: &[Vec<f64>], speed: f64) -> f64 {
        let (gramian, last) = (gramian(rows), rows.len() - 1);
        let (weights, nu) = barrier_weights(&gramian, speed).unwrap();
        assert!(weights.iter().all(|w| *w >= 0.0) && nu >= 0.0);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let all: Vec<f64> = weights.iter().copied().chain([nu]).collect();
        let along = |i: usize| (0..=last).map(|j| gramian[(i, j)] * all[j]).sum::<f64>();
        let length = (0..=last).map(|i| all[i] * along(i)).sum::<f64>().max(0.0).sqrt();
        let (norms, phi) = (gramian.norms(), speed * gramian[(last, last)]);
        let shortest = norms.iter().filter(|norm| **norm > 0.0).fold(1.0, |a: f64, b| a.min(*b));
        let longest = (0..=last).map(|i| all[i] * norms[i]).fold(length.max(shortest), f64::max);
        let level = length * length - nu * phi;
        // A task that takes part has the level exactly, the others lie above it; the constraint holds, exactly where ν > 0.
        let task = |i: usize| {
            let over = (along(i) - level) / (norms[i].max(shortest) * longest + nu * phi);
            if weights[i] > 1e-9 { over.abs() } else { -over }
        };
        let over = (along(last) - phi) / (norms[last].max(shortest) * longest + phi);
        let barrier = if nu > 0.0 { over.abs() } else { -over };
        (0..last).map(task).fold(barrier, f64::max)
    }

    /// Of low rank, with norms over two orders of magnitude, zeros, doubles and opposites, for up to 128 tasks.
    #[test]
    fn the_conditions_hold_for_many_tasks_of_all_kinds() {
        let mut rng = Rng::new(4);
        for tasks in [1, 2, 3, 8, 40, 128] {
            for (rank, speed) in [(1, 0.1), (2, 0.0), (3, 1.0), (5, 0.1), (200, 0.5)] {
                let mut row = |scale: f64| (0..rank).map(|_| scale * rng.normal()).collect::<Vec<f64>>();
                let mut rows: Vec<Vec<f64>> = (0..=tasks).map(|i| row([1.0, 10.0, 0.1][i % 3])).collect();
                assert!(
                    residual(&rows, speed) < 1e-9,
                    "{tasks} tasks of rank {rank}: {}",
                    residual(&rows, speed)
                );
                rows[0] = rows[tasks].iter().map(|v| -v).collect();
                rows[tasks / 2] = rows[tasks - 1].clone();
                assert!(residual(&rows, speed) < 1e-5, "opposites: {}", residual(&rows, speed));
                rows[tasks / 3] = vec![0.0; rank];
                assert!(residual(&rows, speed) < 1e-5, "a zero: {}", residual(&rows, speed));
                rows[tasks] = vec![0.0; rank];
                assert!(residual(&rows, speed) < 1e-5, "no barrier: {}", residual(&rows, speed));
            }
        }
    }

    /// On a line and in three dimensions, opposed tasks and a barrier against them, by hand where it is a line.
    #[test]
    fn opposed_gradients_may_differ_in_length_by_any_ratio() {
        for power in [-9, -6, -3, 3, 6, 9] {
            let ratio = 10f64.powi(power);
            for (q, speed) in [(ratio.sqrt(), 0.1), (ratio.sqrt(), 1.0), (-ratio, 0.1), (1.0, 0.0)] {
                for side in [0.0, 1.0] {
                    let rows = [vec![1.0, 0.0, 0.0], vec![-ratio, 0.0, 0.0], vec![q, side * q, 0.0]];
                    let found = residual(&rows, speed);
                    assert!(found < 1e-6, "{ratio:e}, {q:e}, {side}, {speed}: {found:e}");
                }
            }
            // q = √ratio: the task against it makes it fall by nothing, and ν makes up for all of it.
            let rows = [vec![1.0], vec![-ratio], vec![ratio.sqrt()]];
            let (weights, last) = barrier_weights(&gramian(&rows), 1.0).unwrap();
            assert!((weights[1] - 1.0).abs() < 1e-6, "{ratio:e}: {weights:?}");
            assert!((last / (1.0 + ratio.sqrt()) - 1.0).abs() < 1e-6, "{ratio:e}: {last}");
        }
    }

    proptest! {
        /// With norms over four orders of magnitude.
        #[test]
        fn the_conditions_of_the_minimum_hold(
            rows in prop::collection::vec((prop::collection::vec(-1.0..1.0f64, 4), -2.0..2.0f64), 2..7),
            speed in 0.0..2.0f64,
        ) {
            let rows: Vec<Vec<f64>> =
                rows.iter().map(|(row, power)| row.iter().map(|v| v * 10f64.powf(*power)).collect()).collect();
            let residual = residual(&rows, speed);
            prop_assert!(residual < 1e-7, "{residual}");
        }
    }
}
