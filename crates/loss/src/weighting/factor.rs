//! A Cholesky factor of some rows and columns of a symmetric matrix, which grows by one at a time.

/// The smallest distance of a column from the span of others that counts as independent, relative to its length: that which
/// rounding of f32 leaves of one that depends on them.
pub(super) const DISTANCE: f64 = 3e-7;

/// H_PP = L Lᵀ of a set P.
pub(super) struct Factor<'a> {
    pub(super) h: &'a [Vec<f64>],
    pub(super) set: Vec<usize>,
    /// The rows of L up to the diagonal.
    lower: Vec<Vec<f64>>,
}

impl<'a> Factor<'a> {
    /// The factor of the empty set.
    pub(super) fn new(h: &'a [Vec<f64>]) -> Self {
        Self { h, set: Vec::new(), lower: Vec::new() }
    }

    /// Adds j to the set, unless its column depends on those of the set; says whether it was added.
    pub(super) fn push(&mut self, j: usize) -> bool {
        let mut row: Vec<f64> = Vec::with_capacity(self.set.len() + 1);
        for (&p, above) in self.set.iter().zip(&self.lower) {
            let known = row.len();
            row.push((self.h[j][p] - dot(&above[..known], &row)) / above[known]);
        }
        let pivot = self.h[j][j] - dot(&row, &row);
        if pivot <= DISTANCE * DISTANCE * self.h[j][j] {
            return false;
        }
        row.push(pivot.sqrt());
        self.lower.push(row);
        self.set.push(j);
        true
    }

    /// Leaves only these in the set, in their order.
    pub(super) fn keep(&mut self, stays: &[usize]) {
        let same = self.set.iter().zip(stays).take_while(|(a, b)| a == b).count();
        self.set.truncate(same);
        self.lower.truncate(same);
        for &j in &stays[same..] {
            self.push(j);
        }
    }

    /// The x with H_PP x = f_P, in the order of the set.
    pub(super) fn solve(&self, f: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(self.set.len());
        for (&p, row) in self.set.iter().zip(&self.lower) {
            let known = x.len();
            x.push((f[p] - dot(&row[..known], &x)) / row[known]);
        }
        // Row by row, so that memory is read in order: x_r is final when all rows below have been taken off.
        for (r, row) in self.lower.iter().enumerate().rev() {
            x[r] /= row[r];
            let last = x[r];
            x[..r].iter_mut().zip(row).for_each(|(x, l)| *x -= l * last);
        }
        x
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let (a, b) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (x, y) in a.0.iter().zip(b.0) {
        (0..4).for_each(|k| lanes[k] += x[k] * y[k]);
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(x, y)| x * y).sum();
    rest + lanes.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_grows_and_shrinks_and_refuses_what_depends_on_it() {
        // Columns of (1, 0), (1, 1), (0, 2).
        let h = [vec![1.0, 1.0, 0.0], vec![1.0, 2.0, 2.0], vec![0.0, 2.0, 4.0]];
        let mut factor = Factor::new(&h);
        assert!(factor.push(0) && factor.push(1) && !factor.push(2));
        // x₀ + x₁ = 1, x₀ + 2 x₁ = 3.
        assert_eq!(factor.solve(&[1.0, 3.0, 0.0]), [-1.0, 2.0]);
        factor.keep(&[1]);
        assert!(factor.push(2));
        // 2 x₁ + 2 x₂ = 2, 2 x₁ + 4 x₂ = 6.
        let x = factor.solve(&[0.0, 2.0, 6.0]);
        assert!((x[0] + 1.0).abs() < 1e-14 && (x[1] - 2.0).abs() < 1e-14, "{x:?}");
    }
}
