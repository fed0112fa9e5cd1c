//! Values of attention, by blocks of queries.

use std::ops::Range;

use rayon::prelude::*;

use super::mask::Rule;
use crate::gemm::{Matrix, MatrixMut, Onto, multiply, multiply_into};
use crate::math::Exp;
use crate::ops::rows::{exponentials, largest};
use crate::simd::wide;
use crate::{Error, Result};

/// Scores that one block of queries should not exceed, and the fewest and most queries of a block.
const SCORES: usize = 1 << 16;
const QUERIES: [usize; 2] = [16, 64];

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    pub dim: usize,
    pub value_dim: usize,
}

impl Heads {
    pub(super) fn checked(sizes: [usize; 3], widths: [usize; 2], heads: usize) -> Result<Self> {
        let parts = |width: usize| width.checked_div(heads).filter(|part| *part > 0 && part * heads == width);
        let [Some(dim), Some(value_dim)] = widths.map(parts) else {
            let expected = format!("a divisor of the widths {widths:?}");
            return Err(Error::parameter("heads of attention", expected, heads));
        };
        let [batch, queries, keys] = sizes;
        Ok(Self { batch, queries, keys, heads, dim, value_dim })
    }

    /// The queries of all blocks.
    pub(super) fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        let [fewest, most] = QUERIES;
        let size = SCORES.checked_div(self.keys).unwrap_or(most).clamp(fewest, most);
        (0..self.queries).step_by(size).map(move |start| start..(start + size).min(self.queries))
    }

    /// 1 / √dim
    pub(super) fn scale<T: Exp>(self) -> T {
        T::from_f64(1.0 / (self.dim as f64).sqrt())
    }
}

/// A tensor `[batch, time, width]` in memory.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a, T> {
    pub(super) values: &'a [T],
    /// From one sample to the next, and from one step to the next.
    pub(super) steps: [usize; 2],
}

/// Where queries, keys or values are in memory.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    of: Sequences<'a, T>,
    /// Values per head.
    dim: usize,
}

impl<'a, T: Copy> Operand<'a, T> {
    /// Heads of `dim` values from `offset` on.
    pub(super) fn new(of: Sequences<'a, T>, offset: usize, dim: usize) -> Self {
        Self { of: Sequences { values: &of.values[offset.min(of.values.len())..], ..of }, dim }
    }

    fn start(&self, [sample, head]: [usize; 2], step: usize) -> usize {
        let [of_sample, of_step] = self.of.steps;
        sample * of_sample + step * of_step + head * self.dim
    }

    /// Some steps of one head.
    pub(super) fn of(&self, place: [usize; 2], steps: Range<usize>) -> Matrix<'a, T> {
        let values = &self.of.values[self.start(place, steps.start)..];
        Matrix::block(values, [steps.len(), self.dim], self.of.steps[1])
    }

    /// One step of one head.
    pub(super) fn row(&self, place: [usize; 2], step: usize) -> &'a [T] {
        &self.of.values[self.start(place, step)..][..self.dim]
    }
}

/// Queries, keys and values: three tensors, or one that holds them side by side.
pub(super) fn operands<'a, T: Copy>(heads: Heads, inputs: &[Sequences<'a, T>]) -> [Operand<'a, T>; 3] {
    let Heads { heads, dim, value_dim, .. } = heads;
    match *inputs {
        [q, k, v] => [Operand::new(q, 0, dim), Operand::new(k, 0, dim), Operand::new(v, 0, value_dim)],
        _ => [0, 1, 2].map(|i| Operand::new(inputs[0], i * heads * dim, dim)),
    }
}

/// Attention, once it is computed.
pub(super) struct Attend<T> {
    pub heads: Heads,
    pub rule: Rule,
    /// The logarithm of every row's sum of exponentials, `[batch, heads, queries]`; ∞ for rows that see nothing.
    pub log_sums: Vec<T>,
}

impl<T: Exp> Attend<T> {
    pub(super) fn forward(heads: Heads, rule: Rule, inputs: &[Sequences<'_, T>]) -> Result<(Self, Vec<T>)> {
        let Heads { batch, queries, value_dim, .. } = heads;
        let infinite = vec![T::from_f64(f64::INFINITY); batch * heads.heads * queries];
        let mut attend = Self { heads, rule, log_sums: Vec::new() };
        let (mut log_sums, mut o) = (infinite, vec![T::zero(); batch * queries * heads.heads * value_dim]);
        if !o.is_empty() {
            let (qkv, added) = (operands(heads, inputs), attend.rule.read::<T>()?);
            let width = heads.heads * value_dim;
            let outputs = o.chunks_mut(queries * width);
            let blocks = outputs.flat_map(|o| MatrixMut::rows(o, width).split_columns(value_dim));
            let tasks: Vec<_> = blocks.zip(log_sums.chunks_mut(queries)).enumerate().collect();
            tasks.into_par_iter().for_each(|(i, (o, log_sums))| {
                attend.head([i / heads.heads, i % heads.heads], &qkv, added.as_deref(), (o, log_sums));
            });
        }
        attend.log_sums = log_sums;
        Ok((attend, o))
    }

    /// One head of one sample.
    fn head(
        &self,
        place: [usize; 2],
        qkv: &[Operand<'_, T>; 3],
        added: Option<&[T]>,
        (mut o, log_sums): (MatrixMut<'_, T>, &mut [T]),
    ) {
        let mut scores = Vec::new();
        for block in self.heads.blocks() {
            let keys = self.scores(place, block.clone(), ([qkv[0], qkv[1]], added), &mut scores);
            if keys == 0 {
                continue;
            }
            let mut o = o.some(block.clone());
            wide(
                #[inline(always)]
                || {
                    for (row, log_sum) in scores.chunks_exact_mut(keys).zip(&mut log_sums[block.clone()]) {
                        *log_sum = probabilities(row);
                    }
                },
            );
            let (rows, v) = (block.len(), qkv[2].of(place, 0..keys));
            multiply_into(Onto::Nothing, o.some(0..rows), Matrix::rows(&scores, keys), v);
        }
    }

    /// Fills `scores` with q kᵀ / √dim + mask of some queries, and says how many keys they are for.
    pub(super) fn scores(
        &self,
        place: [usize; 2],
        block: Range<usize>,
        ([q, k], added): ([Operand<'_, T>; 2], Option<&[T]>),
        scores: &mut Vec<T>,
    ) -> usize {
        let keys = self.rule.keys(self.heads, place[0], block.end);
        scores.resize(block.len() * keys, T::zero());
        if keys == 0 {
            return 0;
        }
        multiply(Onto::Nothing, scores, q.of(place, block.clone()), k.of(place, 0..keys).transposed());
        let scale = self.heads.scale::<T>();
        wide(
            #[inline(always)]
            || {
                for (row, i) in scores.chunks_exact_mut(keys).zip(block) {
                    row.iter_mut().for_each(|s| *s *= scale);
                    if let Some(added) = added {
                        let added = &added[self.rule.offset(self.heads, [place[0], place[1], i])..][..keys];
                        row.iter_mut().zip(added).for_each(|(s, &a)| *s += a);
                    }
                    if let Rule::Causal = self.rule {
                        row[(i + 1).min(keys)..].fill(T::from_f64(f64::NEG_INFINITY));
                    }
                }
            },
        );
        keys
    }
}

/// Turns scores into probabilities, and gives the logarithm of the sum of their exponentials.
#[inline(always)]
fn probabilities<T: Exp>(row: &mut [T]) -> T {
    let (none, infinity) = (T::zero(), T::from_f64(f64::INFINITY));
    let top = largest(row);
    let top = if top == none - infinity { none } else { top };
    let sum = exponentials(row, top);
    if sum == none {
        return infinity;
    }
    let share = T::one() / sum;
    row.iter_mut().for_each(|p| *p *= share);
    top + T::from_f64(sum.to_f64().ln())
}
