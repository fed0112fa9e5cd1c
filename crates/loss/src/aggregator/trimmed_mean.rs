//! Trimmed mean: of each coordinate, the mean without the largest and the smallest values.
//!
//! With the values of a coordinate in ascending order v₁ ≤ … ≤ v_m and b of them trimmed on either side,
//!     d = (v_{b+1} + … + v_{m−b}) / (m − 2b).
//! Cost: one pass over the rows, and per coordinate a network of at most 2 b m comparisons, or of those that sort m values where they are
//! fewer; it takes many coordinates side by side. Guarantees: up to b gradients that are anything at all cannot move a
//! coordinate beyond the range of the others.
//! Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018,
//! <https://arxiv.org/abs/1803.01498>.

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, State, Stateful};

use super::{
    Aggregated, Aggregator,
    pieces::{Number, Pass, Piece, Sums, rows, run},
};
use crate::Jacobian;

/// The mean without the extremes, coordinate by coordinate.
///
/// | parameter | default | range | meaning |
/// | --- | --- | --- | --- |
/// | `trim` | 1 | 2 · trim < m | values that are left out on either side |
///
/// # Errors
/// [`Error::Parameter`] where nothing is left.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_kernels::Named;
/// use taskweave_loss::{Aggregator, Jacobian, aggregator::TrimmedMean};
/// let row = |x: f64| Named::new([("x", Tensor::new(x, &Device::Cpu)?.into())]);
/// let rows = Named::new([("a", row(1.0)?), ("b", row(-900.0)?), ("c", row(3.0)?), ("d", row(5.0)?)])?;
/// let found = TrimmedMean { trim: 1 }.aggregate(&Jacobian::new(rows)?)?;
/// assert_eq!(found.gradient["x"].clone().into_dense()?.to_scalar::<f64>()?, 2.0); // (1 + 3) / 2
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrimmedMean {
    /// How many values are left out on either side.
    pub trim: usize,
}

impl Default for TrimmedMean {
    fn default() -> Self {
        Self { trim: 1 }
    }
}

impl Aggregator for TrimmedMean {
    fn aggregate(&mut self, jacobian: &Jacobian) -> Result<Aggregated> {
        let (tasks, trim) = (jacobian.rows().len(), self.trim);
        if trim.saturating_mul(2) >= tasks.max(1) {
            return Err(Error::parameter("trim", format!("less than half of {tasks} tasks"), trim));
        }
        let (gradient, _) = run(&rows(jacobian), &Middle { trim, network: network(tasks, trim) })?;
        Ok(Aggregated { gradient, weights: None })
    }
}

/// The mean of what is left in the middle.
struct Middle {
    trim: usize,
    network: Vec<(usize, usize)>,
}

/// Coordinates that are sorted side by side, so that those of many tasks lie in cache.
const SIDE: usize = 256;

impl Pass for Middle {
    const WRITES: bool = true;

    #[inline(always)]
    fn piece<T: Number>(&self, piece: Piece<'_, T>) -> Sums {
        let tasks = piece.rows.len();
        let (kept, mut values) = (self.trim..tasks - self.trim, vec![[T::zero(); SIDE]; tasks]);
        let share = 1.0 / kept.len() as f64;
        for (side, out) in piece.out.chunks_mut(SIDE).enumerate() {
            let range = side * SIDE..side * SIDE + out.len();
            values
                .iter_mut()
                .zip(&piece.rows)
                .for_each(|(to, row)| to[..out.len()].copy_from_slice(&row[range.clone()]));
            for &(i, j) in &self.network {
                let (head, tail) = values.split_at_mut(j);
                for (a, b) in head[i].iter_mut().zip(&mut tail[0]) {
                    (*a, *b) = (a.least(*b), a.most(*b));
                }
            }
            let mut sums = [0.0; SIDE];
            for row in &values[kept.clone()] {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.to_f64());
            }
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = T::from_f64(sum * share));
        }
        Sums::default()
    }
}

/// Pairs (i, j), i < j, that bring the `trim` least of any m values to the front and as many of the largest to the end when each
/// pair is put in order one after the other. What is between them need not be in order.
fn network(m: usize, trim: usize) -> Vec<(usize, usize)> {
    let (sorting, trimming) = (sorting(m), trimming(m, trim));
    if trimming.len() < sorting.len() { trimming } else { sorting }
}

/// The largest value goes to the end, then the least to the front, and so on with what is between them.
fn trimming(m: usize, trim: usize) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for t in 0..trim {
        let (first, last) = (t, m - 1 - t);
        pairs.extend((first..last).map(|i| (i, i + 1)));
        pairs.extend((first..last - 1).rev().map(|i| (i, i + 1)));
    }
    pairs
}

/// Batcher's merge exchange, which brings all values in ascending order.
fn sorting(m: usize) -> Vec<(usize, usize)> {
    let (mut pairs, top) = (Vec::new(), m.next_power_of_two() / 2);
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            pairs.extend((0..m.saturating_sub(d)).filter(|i| i & p == r).map(|i| (i, i + d)));
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    pairs
}

impl Stateful for TrimmedMean {
    fn save(&self) -> Result<State> {
        State::of(&())
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.read("trimmed_mean")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_leaves_the_middle_of_all_zeros_and_ones() {
        // What does so with every sequence of zeros and ones does it with everything.
        for m in 1..=12usize {
            for trim in 0..m.div_ceil(2) {
                let pairs = network(m, trim);
                for bits in 0..1u32 << m {
                    let mut values: Vec<u32> = (0..m).map(|i| bits >> i & 1).collect();
                    for &(i, j) in &pairs {
                        if values[j] < values[i] {
                            values.swap(i, j);
                        }
                    }
                    let kept: u32 = values[trim..m - trim].iter().sum();
                    values.sort_unstable();
                    assert_eq!(
                        kept,
                        values[trim..m - trim].iter().sum::<u32>(),
                        "{m} values, {trim} trimmed, {bits:b}"
                    );
                }
            }
        }
        assert_eq!([network(8, 1).len(), network(8, 3).len()], [13, 19]);
    }
}
