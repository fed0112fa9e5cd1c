//! One step of one parameter: in place on the CPU, as a composition of tensor operations elsewhere.
//!
//! The fused pass reads and writes every number once: parameter, gradient and all slots side by side, in
//! chunks that rayon spreads over the cores. Every number depends on its own position only, so that neither the
//! chunks nor the threads change a bit. A gradient by rows is laid out a block at a time, never as a whole.

use std::convert::Infallible;

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use rayon::prelude::*;

use super::gradient::Numbers;
use super::{Elementwise, Formula};
use crate::Result;
use crate::autograd::Gradient;
use crate::ops::host::{self, Real};
use crate::simd::wide;

/// How many numbers one task takes: enough to outweigh the hand-over, few enough to spread.
const CHUNK: usize = 1 << 14;
/// How many numbers of a gradient by rows are laid out at a time: few enough to stay in the nearest cache.
const BLOCK: usize = 1 << 10;

/// Steps `var` and `slots` along a contiguous `gradient` that shares its storage with neither of them.
pub(super) fn update<F: Formula>(
    formula: &F,
    var: &Var,
    gradient: &Gradient,
    slots: &mut [Tensor],
) -> Result<()> {
    if var.elem_count() == 0 {
        return Ok(());
    }
    match (var.device(), var.dtype(), slots.len()) {
        (Device::Cpu, DType::F32, 0..4) => host::<F, f32>(formula, var, gradient, slots)?,
        (Device::Cpu, DType::F64, 0..4) => host::<F, f64>(formula, var, gradient, slots)?,
        _ => composed(formula, var, &gradient.clone().into_dense()?, slots)?,
    }
    Ok(())
}

/// The formula on whole tensors, for every device and dtype.
pub(super) fn composed<F: Formula>(
    formula: &F,
    var: &Var,
    gradient: &Tensor,
    slots: &mut [Tensor],
) -> CandleResult<()> {
    var.set(&formula.apply(&var.as_detached_tensor(), gradient, slots)?)
}

/// Numbers that a CPU tensor holds and a formula runs on without failing.
trait Number: Real + Elementwise<Error = Infallible> {}

impl Number for f32 {}
impl Number for f64 {}

fn host<F: Formula, T: Number>(
    formula: &F,
    var: &Var,
    gradient: &Gradient,
    slots: &[Tensor],
) -> CandleResult<()> {
    let targets: Vec<_> = std::iter::once(var.as_tensor()).chain(slots).collect();
    let values = host::read::<T>(gradient.values())?;
    let g = Numbers::new(gradient, &values);
    open(&targets, Vec::new(), &mut |targets: Vec<&mut [T]>| {
        let mut targets = targets.into_iter();
        let x = targets.next().unwrap_or_default();
        let mut slot = |_| targets.next().unwrap_or_default();
        match slots.len() {
            0 => spread::<F, T, 0>(formula, g, x, std::array::from_fn(&mut slot)),
            1 => spread::<F, T, 1>(formula, g, x, std::array::from_fn(&mut slot)),
            2 => spread::<F, T, 2>(formula, g, x, std::array::from_fn(&mut slot)),
            _ => spread::<F, T, 3>(formula, g, x, std::array::from_fn(&mut slot)),
        }
    })
}

/// Hands the numbers of all `tensors` to `run`, which may change them. candle lends one tensor at a time for
/// changing, hence one call inside the other.
fn open<T: Number>(
    tensors: &[&Tensor],
    held: Vec<&mut [T]>,
    run: &mut dyn FnMut(Vec<&mut [T]>),
) -> CandleResult<()> {
    let Some((first, rest)) = tensors.split_first() else {
        run(held);
        return Ok(());
    };
    let mut opened = Ok(());
    host::change::<T>(first, |numbers| {
        // A vector of shorter borrows.
        let mut held: Vec<&mut [T]> = held;
        held.push(numbers);
        opened = open(rest, held, run);
    })?;
    opened
}

/// Cuts parameter, gradient and slots into chunks and runs them in parallel.
fn spread<F: Formula, T: Number, const K: usize>(
    formula: &F,
    g: Numbers<'_, T>,
    x: &mut [T],
    slots: [&mut [T]; K],
) {
    let mut slots = slots.map(|slot| slot.chunks_mut(CHUNK));
    let mut chunks: Vec<_> = x
        .chunks_mut(CHUNK)
        .map(|x| (x, slots.each_mut().map(|slot| slot.next().unwrap_or_default())))
        .enumerate()
        .collect();
    let run = |(i, (x, slots)): &mut (usize, (&mut [T], [&mut [T]; K]))| {
        wide(
            #[inline(always)]
            || blocks(formula, (g, *i * CHUNK), x, slots),
        );
    };
    match chunks.as_mut_slice() {
        [chunk] => run(chunk),
        chunks => chunks.par_iter_mut().for_each(run),
    }
}

/// One chunk, block by block; the numbers of its gradient begin at `from`.
#[inline(always)]
fn blocks<F: Formula, T: Number, const K: usize>(
    formula: &F,
    (g, from): (Numbers<'_, T>, usize),
    x: &mut [T],
    slots: &mut [&mut [T]; K],
) {
    let mut memory = [T::zero(); BLOCK];
    for start in (0..x.len()).step_by(BLOCK) {
        let end = x.len().min(start + BLOCK);
        let g = g.dense(from + start..from + end, &mut memory[..end - start]);
        step(formula, &mut x[start..end], g, slots.each_mut().map(|slot| &mut slot[start..end]));
    }
}

#[inline(always)]
fn step<F: Formula, T: Number, const K: usize>(formula: &F, x: &mut [T], g: &[T], mut slots: [&mut [T]; K]) {
    // A copy of the formula and slices of one length let the compiler see that nothing overlaps.
    let formula = *formula;
    let count = g.len();
    let x = &mut x[..count];
    let slots = slots.each_mut().map(|slot| &mut slot[..count]);
    for i in 0..count {
        let mut state: [T; K] = std::array::from_fn(|k| slots[k][i]);
        let Ok(new) = formula.apply(&x[i], &g[i], &mut state);
        x[i] = new;
        for k in 0..K {
            slots[k][i] = state[k];
        }
    }
}
