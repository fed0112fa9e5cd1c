//! Limited-memory BFGS for smooth convex functions on the host.
//!
//! The direction is −H∇f, where H is built from the last ten changes of point and gradient (two-loop recursion); the step
//! is halved until f has fallen by at least 10⁻⁴ of what the slope promises. Deterministic.
//! Reference: Nocedal and Wright, "Numerical Optimization", Springer 2006, algorithms 7.4, 7.5 and 3.1.

use std::collections::VecDeque;

use taskweave_kernels::{Error, Result};

const MEMORY: usize = 10;
const ITERATIONS: usize = 2000;

/// Changes of point and gradient, the oldest first.
type Changes = VecDeque<(Vec<f64>, Vec<f64>)>;

/// The minimum of a function that returns its value and gradient, from a starting point, to a gradient of no element
/// above `tolerance`.
///
/// # Errors
/// Those of the function; [`Error::NotConverged`] where the tolerance is not met, unless rounding leaves nothing to gain.
pub(super) fn minimum(
    method: &str,
    start: Vec<f64>,
    tolerance: f64,
    f: impl Fn(&[f64]) -> Result<(f64, Vec<f64>)>,
) -> Result<Vec<f64>> {
    let (value, gradient) = f(&start)?;
    let mut at = Point { x: start, value, gradient };
    let mut changes = Changes::new();
    for _ in 0..ITERATIONS {
        if largest(&at.gradient) <= tolerance {
            return Ok(at.x);
        }
        let step = if changes.is_empty() { (1.0 / largest(&at.gradient)).min(1.0) } else { 1.0 };
        let Some(next) = at.below(&direction(&at.gradient, &changes), step, &f)? else {
            return match largest(&at.gradient) <= 1e3 * tolerance {
                true => Ok(at.x),
                false => Err(not_converged(method, &at.gradient)),
            };
        };
        remember(&mut changes, difference(&next.x, &at.x), difference(&next.gradient, &at.gradient));
        at = next;
    }
    Err(not_converged(method, &at.gradient))
}

/// A point, and what the function says there.
struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Point {
    /// The first point along a direction that is as much lower as the slope promises, the step being halved; nothing where
    /// there is none.
    fn below(
        &self,
        direction: &[f64],
        mut step: f64,
        f: impl Fn(&[f64]) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Option<Self>> {
        let slope = dot(&self.gradient, direction);
        while step >= 1e-12 {
            let x: Vec<f64> = self.x.iter().zip(direction).map(|(x, d)| x + step * d).collect();
            let (value, gradient) = f(&x)?;
            if value.is_finite() && value <= self.value + 1e-4 * step * slope {
                return Ok(Some(Self { x, value, gradient }));
            }
            step *= 0.5;
        }
        Ok(None)
    }
}

/// Keeps a change along which the function curves upwards, and no more than [`MEMORY`] of them.
fn remember(changes: &mut Changes, moved: Vec<f64>, turned: Vec<f64>) {
    if dot(&moved, &turned) > 1e-12 * dot(&turned, &turned) {
        changes.push_back((moved, turned));
        if changes.len() > MEMORY {
            changes.pop_front();
        }
    }
}

fn direction(gradient: &[f64], changes: &Changes) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(changes.len());
    for (moved, turned) in changes.iter().rev() {
        let share = dot(moved, &q) / dot(moved, turned);
        add(&mut q, -share, turned);
        shares.push(share);
    }
    if let Some((moved, turned)) = changes.back() {
        let scale = dot(moved, turned) / dot(turned, turned);
        q.iter_mut().for_each(|v| *v *= scale);
    }
    for ((moved, turned), share) in changes.iter().zip(shares.iter().rev()) {
        let back = dot(turned, &q) / dot(moved, turned);
        add(&mut q, share - back, moved);
    }
    q
}

fn not_converged(method: &str, gradient: &[f64]) -> Error {
    Error::NotConverged { method: method.into(), iterations: ITERATIONS, residual: largest(gradient) }
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, v| v.abs().max(most))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(to: &mut [f64], share: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(x, y)| *x += share * y);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_an_ill_conditioned_bowl_is_found() {
        // f = Σ 10^i (x_i − i)² / 2: the minimum is at 0, 1, 2, 3, 4.
        let bowl = |x: &[f64]| {
            let scale = |i: usize| 10f64.powi(i as i32);
            let value = x.iter().enumerate().map(|(i, x)| scale(i) * (x - i as f64).powi(2) / 2.0).sum();
            Ok((value, x.iter().enumerate().map(|(i, x)| scale(i) * (x - i as f64)).collect()))
        };
        let found = minimum("bowl", vec![9.0; 5], 1e-9, bowl).unwrap();
        found.iter().enumerate().for_each(|(i, x)| assert!((x - i as f64).abs() < 1e-8, "{i}: {x}"));
    }

    #[test]
    fn what_has_no_minimum_is_said() {
        let slope = |x: &[f64]| Ok((-x[0], vec![-1.0]));
        assert!(matches!(minimum("slope", vec![0.0], 1e-9, slope), Err(Error::NotConverged { .. })));
    }
}
