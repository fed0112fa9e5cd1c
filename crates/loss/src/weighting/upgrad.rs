//! UPGrad: the mean of the tasks' gradients, each projected onto the cone of directions that harm no task.
//!
//! Given the Gramian G = J Jᵀ (m × m), returns
//!     w = (1/m) Σᵢ vᵢ,   vᵢ = argmin vᵀ G v  over  v ≥ eᵢ
//! where Jᵀvᵢ is the projection of gᵢ onto the dual cone {d : gⱼ·d ≥ 0 for all j}.
//! Cost: m quadratic programs of m unknowns on the scaled Gramian D^-½ G D^-½, each by an active set. Guarantees:
//! gⱼ·Jᵀw ≥ 0 for every task, linear under scaling of each row. Gradients that depend on others but for 3e-7 of
//! their length, the rounding of f32, count as dependent. A task whose gradient is 0 takes no part in the others' conflicts and
//! keeps its own weight 1/m.
//! Variants: the common code adds a multiple of the identity to G and does not scale it, and loses the guarantee where
//! norms differ widely; neither is done here.
//! Reference: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024,
//! <https://arxiv.org/abs/2406.16232>.

use taskweave_kernels::Result;

use super::{Weighting, cone, scaled::Scaled, stateless::stateless};
use crate::{Gramian, no_parameters::no_parameters};

/// The mean projection onto the dual cone. It has no parameters.
///
/// # Errors
/// [`Error::NotConverged`](taskweave_kernels::Error::NotConverged) where rounding keeps the solver from its tolerance.
///
/// # Example
/// Two tasks in conflict: wᵢ = ½ (1 − g₁₂/gᵢᵢ).
/// ```
/// use taskweave_loss::{Gramian, weighting::{UpGrad, Weighting}};
/// let gramian = Gramian::new(["class", "mask"], &[[4.0, -1.0], [-1.0, 1.0]])?;
/// assert_eq!(UpGrad.weights(&gramian)?, [0.625, 1.0]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpGrad;

no_parameters!(UpGrad);

impl Weighting for UpGrad {
    fn weights(&mut self, gramian: &Gramian) -> Result<Vec<f64>> {
        let (size, scaled) = (gramian.len(), Scaled::of(gramian));
        let mut sums = vec![0.0; scaled.len()];
        for (i, norm) in scaled.norms.iter().enumerate() {
            // In unknowns u = D^½ v the bound v ≥ eᵢ is u ≥ ‖gᵢ‖ eᵢ; by linearity it is solved for 1.
            let mut unit = vec![0.0; scaled.len()];
            unit[i] = 1.0;
            let mut u = cone::projection("upgrad", &scaled.cosines, &unit)?.x;
            u[i] += 1.0;
            sums.iter_mut().zip(u).for_each(|(sum, u)| *sum += norm * u / size as f64);
        }
        Ok(scaled.weights(&sums, size, 1.0 / size as f64))
    }
}

stateless!(UpGrad);

#[cfg(test)]
mod tests {
    use super::*;

    fn gramian(rows: &[Vec<f64>]) -> Gramian {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let products: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        Gramian::new((0..rows.len()).map(|i| format!("t{i}")), &products).unwrap()
    }

    fn close(found: &[f64], expected: &[f64]) {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn the_example_of_the_paper() {
        let g = gramian(&[vec![-4.0, 1.0, 1.0], vec![6.0, 1.0, 1.0]]);
        close(&UpGrad.weights(&g).unwrap(), &[10.0 / 9.0, 15.0 / 19.0]);
    }

    #[test]
    fn without_conflict_all_count_alike() {
        close(&UpGrad.weights(&gramian(&[vec![1.0, 0.0], vec![3.0, 3.0]])).unwrap(), &[0.5, 0.5]);
        close(&UpGrad.weights(&gramian(&[vec![2.0]])).unwrap(), &[1.0]);
        close(&UpGrad.weights(&gramian(&[vec![0.0], vec![0.0]])).unwrap(), &[0.5, 0.5]);
    }

    /// Several columns that depend on each other but for rounding, and combinations that cancel.
    #[test]
    fn what_nearly_depends_is_solved_and_harms_by_rounding_at_most() {
        let mut state = 3u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        for case in 0..400 {
            let (tasks, width) = (2 + case % 9, 2 + case % 5);
            let mut rows: Vec<Vec<f64>> = (0..tasks).map(|_| (0..width).map(|_| draw()).collect()).collect();
            for j in (1..tasks).step_by(1 + case % 3) {
                let off = 10f64.powf(-6.5 + 2.0 * draw());
                let (sign, from) = (if case % 2 == 0 { -1.0 } else { draw().signum() }, rows[j - 1].clone());
                rows[j] = from.iter().map(|x| sign * (x + off * draw())).collect();
            }
            let g = gramian(&rows);
            for mut method in [Box::new(UpGrad) as Box<dyn Weighting>, Box::new(super::super::DualProj)] {
                let w = method.weights(&g).unwrap_or_else(|error| panic!("case {case}: {error}"));
                let terms: f64 = w.iter().zip(g.norms()).map(|(w, norm)| w * norm).sum();
                for (i, norm) in g.norms().iter().enumerate() {
                    let along: f64 = w.iter().enumerate().map(|(j, w)| g[(i, j)] * w).sum();
                    assert!(along >= -4e-7 * norm * terms, "case {case}: {along:e} of {:e}", norm * terms);
                }
            }
        }
    }

    #[test]
    fn no_task_is_harmed_whatever_the_norms() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(u32::MAX) - 0.25
        };
        for (tasks, width) in [(2, 3), (3, 3), (8, 5), (8, 30), (40, 20), (64, 200)] {
            let rows: Vec<Vec<f64>> =
                (0..tasks).map(|i| (0..width).map(|_| draw() * 10f64.powi(i % 7 - 3)).collect()).collect();
            let g = gramian(&rows);
            let w = UpGrad.weights(&g).unwrap();
            let length: f64 = (0..tasks as usize)
                .map(|i| w[i] * (0..tasks as usize).map(|j| g[(i, j)] * w[j]).sum::<f64>())
                .sum();
            for (i, norm) in g.norms().iter().enumerate() {
                let along: f64 = (0..tasks as usize).map(|j| g[(i, j)] * w[j]).sum();
                assert!(along >= -1e-9 * norm * length.max(0.0).sqrt(), "{tasks} × {width}: {along}");
            }
        }
    }
}
