//! What happens to one sample at one step.

use crate::math::Exp;

/// The element-wise part of a recurrent network. All slices are rows: one value or gate after the other, `hidden`
/// values each.
pub(super) trait Cell: Send + Sync + 'static {
    /// The name of the function in messages.
    const NAME: &'static str;

    /// Gates per unit.
    const GATES: usize;

    /// Where the gradients of the input's part of the gates are found among the [`WIDTH`] gradients per unit. Those
    /// of the state's part are the first ones, in their order.
    const INPUT: &'static [Span];

    /// Makes the gates of what the input (`step.gates`) and the state (`recurrent`) say, and moves the state on.
    fn forward<T: Exp>(step: Step<'_, T>, recurrent: &[T]);

    /// Gradients at a step, given those of what it left behind in `carry`; these become the gradients of what it
    /// found, except for what comes through the recurrent weights.
    fn backward<T: Exp>(past: &Past<'_, T>, gates: &mut [T], carry: [&mut [T]; 2]);
}

/// Gradients per unit that the backward pass leaves behind at every step.
pub(super) const WIDTH: usize = 4;

/// Neighboring gates.
pub(super) struct Span {
    /// The first among the gradients of a step.
    pub from: usize,
    /// The first among the gates of the weights.
    pub gate: usize,
    pub count: usize,
}

/// One sample at one step, forward.
pub(super) struct Step<'a, T> {
    /// The input's part of every gate, to become the gate.
    pub gates: &'a mut [T],
    /// One more value per unit to remember.
    pub side: &'a mut [T],
    /// The state: what is put out, and what is not.
    pub state: [&'a mut [T]; 2],
}

/// What is remembered of one sample at one step.
pub(super) struct Past<'a, T> {
    pub gates: &'a [T],
    pub side: &'a [T],
    /// Output and side value of the step before.
    pub before: [&'a [T]; 2],
}

/// σ(a + b) over two rows, in place of the first.
#[inline(always)]
pub(super) fn sigmoid_of_sum<T: Exp>(a: &mut [T], b: &[T]) {
    a.iter_mut().zip(b).for_each(|(a, &b)| *a = (*a + b).sigmoid());
}

/// One row as `N` of equal length.
#[inline(always)]
pub(super) fn parts<const N: usize, T>(row: &[T]) -> [&[T]; N] {
    let hidden = row.len() / N;
    std::array::from_fn(|i| &row[i * hidden..(i + 1) * hidden])
}
