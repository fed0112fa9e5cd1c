//! Linear programs on weights, by the simplex method.
//!
//! ```text
//! maximize  cᵀx   over   x ≥ 0,   A x ≥ b,   pᵀx = 1      with b ≤ 0 and p > 0
//! ```
//! x = 0 holds all but the equality, so that the first phase maximizes pᵀx up to 1 from there, and the second cᵀx without
//! leaving it. The entering variable is that of the largest slope, after many steps without progress that of the lowest
//! number (Bland), which cannot cycle. At the end the table is formed anew from the basis, since hundreds of pivots round.
//! Reference: Dantzig, "Linear Programming and Extensions", 1963; Bland, Mathematics of Operations Research 1977.

use nalgebra::DMatrix;
use taskweave_kernels::{Error, Result};

use super::cone::Solved;

/// What counts as 0 in a table whose numbers are about 1.
const TINY: f64 = 1e-11;

/// What rounding may leave of the constraints.
const ROUNDING: f64 = 1e-9;

/// argmax cᵀx over x ≥ 0, A x ≥ b, pᵀx = 1, and how far it violates them; nothing where no x holds them. `b ≤ 0`, `p > 0`; rows of A of length about 1.
///
/// # Errors
/// [`Error::NotConverged`] for a method that the error names, with the largest violation, relative to Σ x.
pub(super) fn maximum(
    method: &str,
    c: &[f64],
    (a, b): (&[Vec<f64>], &[f64]),
    p: &[f64],
) -> Result<Option<Solved>> {
    let mut table = Table::new(a, b, p);
    table.maximize(p);
    let x = table.solution();
    if 1.0 - dot(p, &x) > ROUNDING {
        return Ok(None);
    }
    table.bar(p.len() + b.len());
    table.maximize(c);
    table.refresh();
    table.maximize(c);
    let x = table.solution();
    // A small p makes large x, and rounding is relative to them.
    let size = 1.0 + x.iter().sum::<f64>();
    let short = a.iter().zip(b).map(|(row, b)| b - dot(row, &x)).fold(0.0, f64::max) / size;
    let residual = short.max((1.0 - dot(p, &x)).abs());
    match residual <= ROUNDING {
        true => Ok(Some(Solved { x, residual })),
        false => Err(Error::NotConverged { method: method.into(), iterations: table.steps, residual }),
    }
}

/// Rows of (variables, slacks, right side), one per constraint, solved for the variables of the basis.
struct Table {
    rows: Vec<Vec<f64>>,
    /// The rows before the first pivot.
    start: Vec<Vec<f64>>,
    basis: Vec<usize>,
    variables: usize,
    barred: Option<usize>,
    steps: usize,
}

impl Table {
    /// −A x + s = −b and pᵀx + t = 1, all slacks in the basis.
    fn new(a: &[Vec<f64>], b: &[f64], p: &[f64]) -> Self {
        let (variables, constraints) = (p.len(), b.len() + 1);
        let row = |i: usize, parts: &mut dyn Iterator<Item = f64>, right: f64| {
            let mut row: Vec<f64> = parts.collect();
            row.resize(variables + constraints + 1, 0.0);
            row[variables + i] = 1.0;
            row[variables + constraints] = right;
            row
        };
        let mut rows: Vec<Vec<f64>> =
            (a.iter().zip(b).enumerate()).map(|(i, (a, b))| row(i, &mut a.iter().map(|a| -a), -b)).collect();
        rows.push(row(b.len(), &mut p.iter().copied(), 1.0));
        Self {
            start: rows.clone(),
            rows,
            basis: (variables..variables + constraints).collect(),
            variables,
            barred: None,
            steps: 0,
        }
    }

    /// Moves to a vertex on which the objective, given for the variables, is largest.
    fn maximize(&mut self, objective: &[f64]) {
        let columns = self.variables + self.rows.len();
        // The slopes of the objective in terms of what is not in the basis.
        let mut slopes = objective.to_vec();
        slopes.resize(columns + 1, 0.0);
        for (row, &basic) in self.rows.iter().zip(&self.basis) {
            let slope = slopes[basic];
            slopes.iter_mut().zip(row).for_each(|(s, x)| *s -= slope * x);
        }
        let patience = 4 * columns;
        for step in 0..40 * columns {
            let open = (0..columns).filter(|j| Some(*j) != self.barred && slopes[*j] > TINY);
            let entering = match step < patience {
                true => open.max_by(|i, j| slopes[*i].total_cmp(&slopes[*j])),
                false => open.min(),
            };
            let Some(entering) = entering else { return };
            let ratio = |row: &[f64]| row[columns].max(0.0) / row[entering];
            let rows = (0..self.rows.len()).filter(|r| self.rows[*r][entering] > TINY);
            let leaving = rows.min_by(|r, s| {
                let order = ratio(&self.rows[*r]).total_cmp(&ratio(&self.rows[*s]));
                order.then(self.basis[*r].cmp(&self.basis[*s]))
            });
            let Some(leaving) = leaving else { return };
            self.pivot(leaving, entering, &mut slopes);
        }
    }

    /// Solves the first rows for the basis, which leaves no rounding of the pivots behind.
    fn refresh(&mut self) {
        let (size, columns) = (self.rows.len(), self.variables + self.rows.len() + 1);
        let basis = DMatrix::from_fn(size, size, |i, j| self.start[i][self.basis[j]]);
        let start = DMatrix::from_fn(size, columns, |i, j| self.start[i][j]);
        if let Some(solved) = basis.lu().solve(&start) {
            self.rows = solved.row_iter().map(|row| row.iter().copied().collect()).collect();
        }
    }

    /// Keeps a slack that is 0 at 0: out of the basis, for good.
    fn bar(&mut self, slack: usize) {
        self.barred = Some(slack);
        let Some(row) = self.basis.iter().position(|basic| *basic == slack) else { return };
        let columns = (0..self.variables + self.rows.len()).filter(|j| !self.basis.contains(j));
        let size = |j: &usize| self.rows[row][*j].abs();
        if let Some(entering) = columns.max_by(|i, j| size(i).total_cmp(&size(j))).filter(|j| size(j) > TINY)
        {
            self.pivot(row, entering, &mut []);
        }
    }

    fn pivot(&mut self, leaving: usize, entering: usize, slopes: &mut [f64]) {
        self.steps += 1;
        let by = self.rows[leaving][entering];
        self.rows[leaving].iter_mut().for_each(|x| *x /= by);
        let pivot = self.rows[leaving].clone();
        let others = self.rows.iter_mut().enumerate().filter(|(r, _)| *r != leaving);
        let slopes = Some(slopes).filter(|slopes| !slopes.is_empty());
        for row in others.map(|(_, row)| row.as_mut_slice()).chain(slopes) {
            let factor = row[entering];
            if factor != 0.0 {
                row.iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
                row[entering] = 0.0;
            }
        }
        self.basis[leaving] = entering;
    }

    fn solution(&self) -> Vec<f64> {
        let mut x = vec![0.0; self.variables];
        for (row, &basic) in self.rows.iter().zip(&self.basis).filter(|(_, basic)| **basic < self.variables) {
            x[basic] = row.last().map_or(0.0, |value| value.max(0.0));
        }
        x
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_of_the_triangle_or_of_what_is_left_of_it() {
        let free = maximum("test", &[1.0, 3.0, 2.0], (&[], &[]), &[1.0; 3]).unwrap().unwrap();
        assert_eq!(free, Solved { x: vec![0.0, 1.0, 0.0], residual: 0.0 });
        // x₁ ≥ x₂: half of each is best.
        let rows = [vec![1.0, -1.0, 0.0]];
        let bound = maximum("test", &[1.0, 4.0, 2.0], (&rows, &[0.0]), &[1.0; 3]).unwrap().unwrap();
        assert_eq!(bound, Solved { x: vec![0.5, 0.5, 0.0], residual: 0.0 });
        // −x₁ − x₂ ≥ −¼ on the line 2x₁ + x₂ + x₃ = 1 and x₃ ≤ ½: x₁ = ¼, x₂ = 0.
        let rows = [vec![-1.0, -1.0, 0.0], vec![0.0, 0.0, -1.0]];
        let Solved { x, residual } =
            maximum("test", &[1.0, 0.5, 0.1], (&rows, &[-0.25, -0.5]), &[2.0, 1.0, 1.0]).unwrap().unwrap();
        assert!(residual <= ROUNDING);
        assert!((x[0] - 0.25).abs() < 1e-12 && x[1].abs() < 1e-12 && (x[2] - 0.5).abs() < 1e-12, "{x:?}");
    }

    #[test]
    fn where_nothing_holds_the_constraints_there_is_no_solution() {
        let rows = [vec![-1.0, 0.0], vec![0.0, -1.0]];
        assert_eq!(maximum("test", &[1.0, 1.0], (&rows, &[-0.4, -0.4]), &[1.0; 2]).unwrap(), None);
    }
}
